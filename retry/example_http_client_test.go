package retry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I make an http.Client retry?
func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		attempt := retry.CallerAttempt(r)
		fmt.Println(r.Method, "attempt", attempt)
		if attempt == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	retries := retry.MustNew(retry.Config{Name: "greetings", BaseDelay: -1})
	client := &http.Client{Transport: retry.Transport(retries, http.DefaultTransport)}

	get, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer get.Body.Close()
	body, err := io.ReadAll(get.Body)
	fmt.Println(get.StatusCode, string(body), err)

	// A POST may have been carried out: it is sent once. An Idempotency-Key would say that it may be repeated.
	post, err := client.Post(server.URL, "text/plain", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	post.Body.Close()
	fmt.Println(post.StatusCode)
	// Output:
	// GET attempt 1
	// GET attempt 2
	// 200 hello <nil>
	// POST attempt 1
	// 503
}
