package bulkhead_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I keep a server from taking on more than it can do?
func ExampleHandler() {
	slots := bulkhead.MustNew(bulkhead.Config{
		Name:   "api",
		Limit:  1, // so few only for the example: what it can work on at once before it becomes slower
		Exempt: bulkhead.ExemptPaths("/healthz"),
	})
	entered, leave := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/report", func(http.ResponseWriter, *http.Request) { close(entered); <-leave })
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(bulkhead.Handler(slots, mux))
	defer server.Close()

	get := func(path string) (int, bool) {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return 0, false
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After") != ""
	}
	first := make(chan int)
	go func() {
		status, _ := get("/report")
		first <- status
	}()
	<-entered

	fmt.Println(get("/report")) // one too many: it is told so at once, and when to come back
	fmt.Println(get("/healthz"))
	close(leave)
	fmt.Println(<-first)
	// Output:
	// 503 true
	// 200 false
	// 200
}
