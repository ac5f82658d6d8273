package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/chaos"
)

// How does a test ask a server that others use too for faults?
func ExampleHandler_secret() {
	faults := chaos.MustNew(chaos.Config{
		Secret: "of-this-test-run",
		Faults: []chaos.Fault{{Kind: chaos.Status, Rate: 1, Status: http.StatusTooManyRequests, RetryAfter: "soon"}},
	})
	faults.Enable()
	defer faults.Disable()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	server := httptest.NewServer(chaos.Handler(faults, page))
	defer server.Close()

	for _, secret := range []string{"", "of-this-test-run"} {
		req, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set(chaos.Header, secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	// Output:
	// 200 ""
	// 429 "soon"
}
