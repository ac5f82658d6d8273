package bulkhead_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// How do I bound what an http.Client asks of each host?
func ExampleKeyed_Transport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()

	hosts := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{
		Config: bulkhead.Config{Limit: 1}, // for each host, so few only for the example
		Total:  100,
	})
	client := &http.Client{Transport: hosts.Transport(bulkhead.Host, http.DefaultTransport)}

	first, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Get(server.URL)
	fmt.Println("while the first's body is open, refused:", errors.Is(err, bulkhead.ErrFull))

	first.Body.Close()
	again, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	again.Body.Close()
	fmt.Println("then:", again.StatusCode)
	// Output:
	// while the first's body is open, refused: true
	// then: 200
}
