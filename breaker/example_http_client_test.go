package breaker_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/breaker"
)

// How do I give an http.Client a breaker for each host?
func ExampleTransport() {
	serve := func(status int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	}
	well, ill := serve(http.StatusOK), serve(http.StatusInternalServerError)
	defer well.Close()
	defer ill.Close()

	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: breaker.Transport(hosts, http.DefaultTransport)}

	for range 3 {
		for _, server := range []*httptest.Server{well, ill} {
			resp, err := client.Get(server.URL)
			if errors.Is(err, breaker.ErrOpen) {
				fmt.Println("not asked")
				continue
			}
			if err != nil {
				fmt.Println(err)
				return
			}
			resp.Body.Close()
			fmt.Println(resp.StatusCode)
		}
	}
	// The key is host:port, as in the URL.
	fmt.Println(hosts.Get(well.Listener.Addr().String()).State(), hosts.Get(ill.Listener.Addr().String()).State())
	// Output:
	// 200
	// 500
	// 200
	// 500
	// 200
	// not asked
	// closed open
}
