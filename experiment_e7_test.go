package holdfast_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE7 is retry amplification (Google's SRE book, chapter 22; Amazon Builders' Library) with a [holdfast.Stack] in
// every layer: all of them retry, and what the last one calls is down.
//
// The model. Three layers of four attempts each, or five of three, call each other, one call after another; the bottom counts
// what arrives, and fails all of it. In one process the layers are nested functions under Stack.Run, ten calls a second on a
// virtual clock. Across processes they are real HTTP servers on loopback, each with a Stack.Handler (the preset HTTPServer)
// and with a Stack.Transport to the layer below; there calls follow each other at once, in real time, of which nothing is asserted.
// Each layer has policies of its own, as separate services do: the preset HTTPClient with that many attempts, across
// processes with delays of up to 1 ms; and, to see what the layers do without a budget and a breaker, a stack of the retry
// alone. No number is fitted.
func TestExperimentE7(t *testing.T) {
	r := experiment.NewTable(
		fmt.Sprintf("E7, stacks: every layer retries, and the bottom is down: requests at the bottom for each call; least and most of %d seeds", experiment.Seeds),
		"layers", "published", "re-run without holdfast", "stacks of a retry alone", "stacks of the preset, first 10 calls", "all calls",
	)
	for _, c := range []struct {
		layers, attempts int
		published        string
		factor           float64
	}{
		{3, 4, "64x (4^3)", 64},
		{5, 3, "243x (3^5)", 243},
	} {
		for _, way := range []struct {
			name  string
			calls int
			run   func(t *testing.T, c chainE7) *arrivedE7
		}{
			{"in one process", 2_000, nestedE7},
			{"over HTTP", 200, httpE7},
		} {
			plain := way.run(t, chainE7{c.layers, c.attempts, 2, nil})
			alone := way.run(t, chainE7{c.layers, c.attempts, 2, aloneE7})
			preset := way.run(t, chainE7{c.layers, c.attempts, way.calls, presetE7})
			name := fmt.Sprintf("%d of %d attempts, %s", c.layers, c.attempts, way.name)
			r.Row(name, c.published, plain.all.In("%.0fx"), alone.all.In("%.0fx"), preset.first.In("%.1fx"), preset.all.In("%.3fx"))

			plain.all.AtLeast(t, name+": re-run", c.factor)
			plain.all.AtMost(t, name+": re-run", c.factor)
			alone.all.AtMost(t, name+", retry alone", float64(c.attempts))
			r.AtMost(t, name+", first 10 calls", &preset.first, 1.1)
			r.AtMost(t, name+", all calls", &preset.all, 1.1)
		}
	}
	r.Print(t, `
Goal: at most 1.1x, from the first calls on. A stack of a retry alone makes the attempts of its lowest layer, and no layer
above repeats what is exhausted: the error says so in one process, and across processes Stack.Transport and Stack.Handler do.
In the preset the breaker of the lowest layer is then open after five failures, and what it refuses is nothing to the bottom.`)
}

// chainE7 says what is run. Without a stack each layer is a plain loop.
type chainE7 struct {
	layers, attempts, calls int
	stack                   func(attempts int, quick bool) *holdfast.Stack
}

// arrivedE7 is what arrives at the bottom for each call.
type arrivedE7 struct{ first, all experiment.Span }

const firstE7 = 10

// make makes the calls; arrived says how many there were at the bottom up to now.
func (a *arrivedE7) make(calls int, call func(), arrived func() int64) {
	for i := range calls {
		if i == firstE7 {
			a.first.Add(float64(arrived()) / firstE7)
		}
		call()
	}
	a.all.Add(float64(arrived()) / float64(calls))
}

func aloneE7(attempts int, quick bool) *holdfast.Stack {
	c := retry.Config{MaxAttempts: attempts}
	if quick {
		c.BaseDelay, c.MaxDelay = 100*time.Microsecond, time.Millisecond
	}
	return holdfast.MustStack(retry.MustNew(c))
}

// presetE7 is the preset. Over real sockets it has short delays, and no time limits that a busy machine could reach.
func presetE7(attempts int, quick bool) *holdfast.Stack {
	plan := holdfast.HTTPClient("below")
	plan.Retry.MaxAttempts = attempts
	if quick {
		plan.Retry.BaseDelay, plan.Retry.MaxDelay = 100*time.Microsecond, time.Millisecond
		plan.Retry.AttemptTimeout, plan.Retry.MaxElapsed = 0, 0
	}
	return stackOf(plan)
}

func stackOf(plan holdfast.Plan) *holdfast.Stack {
	s, err := plan.Stack()
	if err != nil {
		panic(err)
	}
	return s
}

func nestedE7(t *testing.T, c chainE7) *arrivedE7 {
	result := new(arrivedE7)
	experiment.InBubbles(t, func(_ *testing.T, _ uint64) {
		arrived := int64(0)
		call := func(context.Context) error { arrived++; return errDown }
		for range c.layers {
			below := call
			if c.stack != nil {
				s := c.stack(c.attempts, false)
				call = func(ctx context.Context) error { return s.Run(ctx, below) }
				continue
			}
			call = func(ctx context.Context) (err error) {
				for range c.attempts {
					if err = below(ctx); err == nil {
						break
					}
				}
				return err
			}
		}
		result.make(c.calls, func() {
			if err := call(context.Background()); err == nil {
				t.Error("a call of what is down ended well")
			}
			time.Sleep(100 * time.Millisecond)
		}, func() int64 { return arrived })
	})
	return result
}

// httpE7 has one server for the bottom, and one for each layer but the first, which is the test itself.
func httpE7(t *testing.T, c chainE7) *arrivedE7 {
	result := new(arrivedE7)
	experiment.OverSeeds(func(uint64) {
		var arrived atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			arrived.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		defer server.Close()
		for range c.layers - 1 {
			server = httptest.NewServer(c.handler(c.client(server)))
			defer server.Close()
		}
		top := c.client(server)
		result.make(c.calls, func() {
			if status := top(context.Background()); status != http.StatusServiceUnavailable {
				t.Errorf("a call ended with %d, want %d", status, http.StatusServiceUnavailable)
			}
		}, arrived.Load)
	})
	return result
}

// client returns one layer's call to the server below it: the status to answer with.
func (c chainE7) client(below *httptest.Server) func(context.Context) int {
	client := &http.Client{Transport: below.Client().Transport}
	if c.stack != nil {
		client.Transport = c.stack(c.attempts, true).Transport(client.Transport)
	}
	get := func(ctx context.Context) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, below.URL, nil)
		if err != nil {
			return http.StatusInternalServerError
		}
		resp, err := client.Do(req)
		if err != nil { // a breaker is open
			return http.StatusServiceUnavailable
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		return resp.StatusCode
	}
	if c.stack != nil {
		return get
	}
	return func(ctx context.Context) (status int) {
		for range c.attempts {
			if status = get(ctx); status < 500 {
				break
			}
		}
		return status
	}
}

// handler answers as the layer below does.
func (c chainE7) handler(below func(context.Context) int) http.Handler {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(below(r.Context()))
	}))
	if c.stack != nil {
		return stackOf(holdfast.HTTPServer("layer")).Handler(h)
	}
	return h
}
