package failover_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

// Under a retry: the group is asked again when all its targets have failed, with a body of its own each time.
func TestUnderRetry(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		heard := 0
		a, b := serve(says(503, "a")), serve(func(w http.ResponseWriter, r *http.Request) {
			if heard++; heard == 1 {
				says(502, "b")(w, r)
				return
			}
			echoes(w, r)
		})
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Minute}, a.URL, b.URL)
		p := retry.MustNew(retry.Config{BaseDelay: time.Millisecond, AttemptTimeout: time.Minute})
		rt := retry.Transport(p, failover.Transport(g, a.Client().Transport))
		var bodies accounts
		req := bodies.request(t, http.MethodPut, "http://users/", "body", true)
		resp, err := rt.RoundTrip(req)
		if got := text(t, resp, err); got != "200 body" || resp.Request != req {
			t.Error(got)
		}
		if bodies.opened.Load() != 4 || bodies.left() != 0 {
			t.Errorf("%d of %d bodies are open", bodies.left(), bodies.opened.Load())
		}
		if a.connections.Load() != 1 || b.connections.Load() != 1 || a.requests.Load() != 2 {
			t.Errorf("%d and %d connections", a.connections.Load(), b.connections.Load())
		}
		s := g.Snapshot()
		settled(t, s)
		if s.Calls != 2 || s.Failovers != 2 || s.Successes != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A retry that gives up hands out the last response; and where there was none, the group's error and those in it.
func TestRetriesExhausted(t *testing.T) {
	a := newBackend(t, false, says(503, "a"))
	p := retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: time.Millisecond})
	g := group(t, failover.Config[*url.URL]{}, a.URL, a.URL)
	resp, err := retry.Transport(p, failover.Transport(g, a.Client().Transport)).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
	if got := text(t, resp, err); got != "503 a" || a.requests.Load() != 4 {
		t.Error(got, a.requests.Load())
	}
	g = group(t, failover.Config[*url.URL]{ConsecutiveFailures: 100}, refusing, refusing)
	_, err = retry.Transport(p, failover.Transport(g, a.Client().Transport)).RoundTrip(request(t, http.MethodPost, "http://users/", nil))
	if err == nil || strings.Count(err.Error(), "refused") < 2 || g.Snapshot().Failovers != 2 {
		t.Errorf("%v, %+v", err, g.Snapshot())
	}
}

// Over breakers, one for each host: one that is open moves a request on at once, whatever its method; its target is not
// taken for one that failed.
func TestOverBreakers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		a, b := serve(echoes), serve(echoes)
		hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{Name: "hosts"}})
		if err != nil {
			t.Fatal(err)
		}
		hosts.Get(a.Listener.Addr().String()).Force(breaker.ForcedOpen)
		budget := &budget{}
		g := group(t, failover.Config[*url.URL]{Budget: budget}, a.URL, b.URL)
		rt := failover.Transport(g, breaker.Transport(hosts, a.Client().Transport))
		const requests = 20
		for range requests / 2 {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				var bodies accounts
				resp, err := rt.RoundTrip(bodies.request(t, method, "http://users/", "body", true))
				if got := text(t, resp, err); got != "200 body" || bodies.left() != 0 {
					t.Error(method, got, bodies.left())
				}
			}
		}
		s := g.Snapshot()
		settled(t, s)
		first := s.Targets[0]
		if s.Successes != requests || s.Failovers != requests || first.State != failover.Healthy || first.Failures != 0 || a.requests.Load() != 0 || budget.asked != 0 {
			t.Errorf("%+v", s)
		}
		hosts.Get(b.Listener.Addr().String()).Force(breaker.ForcedOpen)
		_, err = rt.RoundTrip(request(t, http.MethodPost, "http://users/", nil))
		if failed, is := err.(*failover.Error); !is || !failed.Refused() || len(failed.Tried) != 2 {
			t.Errorf("%T %v", err, err)
		}
	})
}

// A host that fails opens its breaker, and the breaker of the other stays as it is.
func TestBreakersOpen(t *testing.T) {
	bad, good := newBackend(t, false, says(503, "no")), newBackend(t, false, says(200, "yes"))
	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 2}})
	if err != nil {
		t.Fatal(err)
	}
	g := group(t, failover.Config[*url.URL]{ConsecutiveFailures: -1, FailureMargin: -1}, bad.URL, good.URL)
	rt := failover.Transport(g, breaker.Transport(hosts, bad.Client().Transport))
	for range 10 {
		resp, err := rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if got := text(t, resp, err); got != "200 yes" {
			t.Error(got)
		}
	}
	states := fmt.Sprint(hosts.Get(bad.Listener.Addr().String()).State(), " ", hosts.Get(good.Listener.Addr().String()).State())
	if bad.requests.Load() != 2 || states != "open closed" {
		t.Errorf("%d requests, %s", bad.requests.Load(), states)
	}
	settled(t, g.Snapshot())
}
