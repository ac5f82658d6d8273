package hedge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// How do I make an http.Client hedge?
func ExampleTransport() {
	var gets, posts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		} else if gets.Add(1) == 1 {
			<-r.Context().Done() // the first one hangs, until the client gives it up
			return
		}
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	hedges := hedge.MustNew(hedge.Config{Name: "greetings", FirstDelay: 20 * time.Millisecond})
	client := &http.Client{Transport: hedge.Transport(hedges, http.DefaultTransport)}

	get, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer get.Body.Close()
	body, err := io.ReadAll(get.Body) // the winner's: it can be read as ever
	fmt.Println(string(body), err)
	fmt.Println("GET:", gets.Load(), "requests")

	// A POST may do something: it is sent once. An Idempotency-Key would say that it may be sent twice.
	post, err := client.Post(server.URL, "text/plain", strings.NewReader("order"))
	if err != nil {
		fmt.Println(err)
		return
	}
	post.Body.Close()
	fmt.Println("POST:", posts.Load(), "request")
	// Output:
	// hello <nil>
	// GET: 2 requests
	// POST: 1 request
}
