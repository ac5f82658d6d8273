package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/chaos"
)

// How do I cut the network between a client and a server?
func ExampleListener() {
	network := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Truncate, Rate: 1, Bytes: 100}}})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1000)) })
	server := httptest.NewUnstartedServer(page)
	server.Listener = chaos.Listener(network, server.Listener)
	server.Start()
	defer server.Close()

	get := func() error {
		resp, err := http.Get(server.URL)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	fmt.Println(get())
	network.Enable()
	fmt.Println(errors.Is(get(), io.ErrUnexpectedEOF))
	network.Disable()
	fmt.Println(get())
	// Output:
	// <nil>
	// true
	// <nil>
}

// How do I do so on the client's side?
func ExampleConn() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()

	network := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Reset, Rate: 1}}})
	dial := func(ctx context.Context, kind, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, kind, addr)
		if err != nil {
			return nil, err
		}
		return chaos.Conn(network, c), nil
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()

	network.Enable()
	_, err := client.Get(server.URL)
	fmt.Println(errors.Is(err, chaos.ErrInjected))
	// Output: true
}
