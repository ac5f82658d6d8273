package retry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/retry"
)

// How do I keep the retries of several services from multiplying?
func ExampleHandler() {
	retries := retry.MustNew(retry.Config{BaseDelay: -1}) // three attempts, in each service
	client := &http.Client{Transport: retry.Transport(retries, http.DefaultTransport)}

	// The database's service is down.
	var requests atomic.Int64
	database := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer database.Close()

	// The service before it retries, and says by retry.Handler that it has. Its own request carries the context of the
	// one that it serves: that is how Handler learns of it.
	users := httptest.NewServer(retry.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, database.URL, nil)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	})))
	defer users.Close()

	resp, err := client.Get(users.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, "after", requests.Load(), "requests, not 9")
	// Output: 503 after 3 requests, not 9
}
