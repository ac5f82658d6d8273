// Perhost answers: how do I keep one host that is down from taking the others with it?
//
// Two servers on loopback are called in turn through one http.Client with a breaker for each host. One of them goes down
// and comes back; the table shows the state of both. It exits non-zero if the other was touched by it.
//
//	go run ./examples/perhost
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// The names under which the client knows the servers. A name without a port is its own key.
const (
	catalog = "catalog.example"
	reviews = "reviews.example"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "perhost:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{
		Config: breaker.Config{
			Name:                "shop",
			ConsecutiveFailures: 3,           // the default is 5: the table is to be short
			OpenFor:             time.Second, // the default of 5 s would be a long wait for the reader
			OnStateChange:       func(e breaker.Event) { fmt.Fprintf(out, "  %s: %v -> %v\n", e.Name, e.From, e.To) },
		},
		MaxKeys: 100, // a shop calls few hosts: where a URL can come from a stranger, the bound matters
	})
	if err != nil {
		return err
	}
	n := startNetwork(catalog, reviews)
	defer n.close()
	s := &shop{out, &http.Client{Transport: breaker.Transport(hosts, n.transport())}, hosts}

	fmt.Fprintln(out, "both are well")
	s.rounds(1)
	fmt.Fprintln(out, reviews, "goes down")
	n.servers[reviews].down.Store(true)
	s.rounds(5)

	// Three failures opened it; the other two calls were not made. The neighbour has answered each time.
	if got := s.state(reviews); got != breaker.Open {
		return fmt.Errorf("%s is %v, want open", reviews, got)
	}
	if got := n.servers[reviews].requests.Load(); got != 4 {
		return fmt.Errorf("%s was sent %d requests, want 4", reviews, got)
	}
	fmt.Fprintln(out, reviews, "comes back; its cool-down ends")
	n.servers[reviews].down.Store(false)
	time.Sleep(time.Until(hosts.Get(reviews).Snapshot().Until))
	s.rounds(1)

	if got := n.servers[catalog].requests.Load(); got != 7 {
		return fmt.Errorf("%s was sent %d requests, want 7: one a round", catalog, got)
	}
	for _, host := range []string{catalog, reviews} {
		if got := s.state(host); got != breaker.Closed {
			return fmt.Errorf("%s is %v, want closed", host, got)
		}
	}
	fmt.Fprintln(out, catalog, "has answered all the time")
	return nil
}

// shop calls both hosts.
type shop struct {
	out    io.Writer
	client *http.Client
	hosts  *breaker.Keyed[string]
}

func (s *shop) state(host string) breaker.State { return s.hosts.Get(host).State() }

func (s *shop) rounds(n int) {
	for range n {
		for _, host := range []string{catalog, reviews} {
			answer := s.call(host)
			fmt.Fprintf(s.out, "  %-16s %-26s breaker %v\n", host, answer, s.state(host))
		}
	}
}

// call says in words what came of one request.
func (s *shop) call(host string) string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return err.Error()
	}
	resp, err := s.client.Do(req)
	switch {
	case errors.Is(err, breaker.ErrOpen):
		return "not asked"
	case err != nil:
		return "no answer"
	}
	defer resp.Body.Close()
	return resp.Status
}
