package retry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/retry"
)

// How does a server say that a repeat is pointless?
func ExampleDoNotRetry() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("a request")
		retry.DoNotRetry(w.Header()) // the migration takes an hour
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	}))
	defer server.Close()

	retries := retry.MustNew(retry.Config{BaseDelay: -1})
	client := &http.Client{Transport: retry.Transport(retries, http.DefaultTransport)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output:
	// a request
	// 503
}
