package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE7 is retry amplification (Google's SRE book, chapter 22; Amazon Builders' Library): every layer of a
// chain of calls retries, and what the last one calls is down.
//
// The model. Three layers of four attempts each, or five of three, call each other, one call after another; the bottom
// counts what arrives, and fails all of it. With holdfast each layer has a retry policy with a default Budget of its
// own, as separate services do. In one process the layers are nested functions, ten calls a second on a virtual clock.
// Across processes they are real HTTP servers on loopback, in real time and with delays of up to 1 ms; nothing is
// asserted about time there. What is above a factor of 1 depends on the number of calls: a Budget starts with 20
// tokens, so the first calls are retried whether or not anything has succeeded yet. No number is fitted.
func TestExperimentE7(t *testing.T) {
	calls := experiment.Fewer(2_000, 500)
	r := experiment.NewTable(
		fmt.Sprintf("E7: every layer retries, and the bottom is down: requests at the bottom for each of %d calls (re-run: of 10); least and most of %d seeds", calls, experiment.Seeds),
		"layers", "published", "re-run without holdfast", "with holdfast, default Budgets", "with holdfast, no Budget",
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
			name string
			run  func(t *testing.T, c chainE7) *experiment.Span
		}{
			{"in one process", nestedE7},
			{"over HTTP", httpE7},
		} {
			plain := way.run(t, chainE7{layers: c.layers, attempts: c.attempts, calls: 10})
			budgets := way.run(t, chainE7{layers: c.layers, attempts: c.attempts, calls: calls, holdfast: true, budgets: true})
			none := way.run(t, chainE7{layers: c.layers, attempts: c.attempts, calls: 100, holdfast: true})
			name := fmt.Sprintf("%d of %d attempts, %s", c.layers, c.attempts, way.name)
			r.Row(name, c.published, plain.In("%.0fx"), budgets.In("%.3fx"), none.In("%.2fx"))

			plain.AtLeast(t, name+": re-run", c.factor)
			plain.Below(t, name+": re-run", c.factor+0.5)
			r.Below(t, name, budgets, 1.1)
			none.Below(t, name+", no Budget", float64(c.attempts)+0.01)
		}
	}
	r.Print(t, `
Goal: at most 1.1x. Without a Budget the lowest layer alone makes its attempts, and those above do not repeat what is
exhausted: errors say so in one process (Exhausted), and the header Holdfast-Retry: no across processes
(retry.Handler, retry.Transport). The Budget then takes away the lowest layer's retries as well, once its first 20
tokens are gone.`)
}

// chainE7 says what is run.
type chainE7 struct {
	layers, attempts, calls int
	holdfast, budgets       bool
}

func (c chainE7) policy(t *testing.T, d *dice) *retry.Policy {
	config := retry.Config{
		MaxAttempts: c.attempts,
		Backoff: func() backoff.BackOff {
			return retry.FullJitter(100*time.Microsecond, time.Millisecond, d.Float64)
		},
	}
	if c.budgets {
		config.Budget = defaultBudget(t)
	}
	return retry.MustNew(config)
}

func nestedE7(t *testing.T, c chainE7) *experiment.Span {
	factor := new(experiment.Span)
	errDown := errors.New("down")
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		d := newDice(seed, 7)
		arrived := 0
		call := func(context.Context) error { arrived++; return errDown }
		for range c.layers {
			below := call
			if !c.holdfast {
				call = func(ctx context.Context) (err error) {
					for range c.attempts {
						if err = below(ctx); err == nil {
							break
						}
					}
					return err
				}
				continue
			}
			p := c.policy(t, d)
			call = func(ctx context.Context) error {
				_, err := retry.Do(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, below(ctx) })
				return err
			}
		}
		for range c.calls {
			if err := call(context.Background()); !errors.Is(err, errDown) {
				t.Errorf("a call ended with %v, want %v", err, errDown)
			}
			time.Sleep(100 * time.Millisecond)
		}
		factor.Add(float64(arrived) / float64(c.calls))
	})
	return factor
}

// httpE7 has one server for the bottom, and one for each layer but the first, which is the test itself.
func httpE7(t *testing.T, c chainE7) *experiment.Span {
	factor := new(experiment.Span)
	experiment.OverSeeds(func(seed uint64) {
		d := newDice(seed, 7)
		var arrived atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			arrived.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		defer server.Close()
		for range c.layers - 1 {
			server = httptest.NewServer(c.handler(c.client(t, d, server)))
			defer server.Close()
		}
		top := c.client(t, d, server)
		for range c.calls {
			if status := top(context.Background()); status != http.StatusServiceUnavailable {
				t.Errorf("a call ended with %d, want %d", status, http.StatusServiceUnavailable)
				return
			}
		}
		factor.Add(float64(arrived.Load()) / float64(c.calls))
	})
	return factor
}

// client returns one layer's call to the server below it: the status that it ends with.
func (c chainE7) client(t *testing.T, d *dice, below *httptest.Server) func(context.Context) int {
	client := &http.Client{Transport: below.Client().Transport}
	if c.holdfast {
		client.Transport = retry.Transport(c.policy(t, d), client.Transport)
	}
	get := func(ctx context.Context) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, below.URL, nil)
		if err != nil {
			return http.StatusInternalServerError
		}
		resp, err := client.Do(req)
		if err != nil {
			return http.StatusBadGateway
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		return resp.StatusCode
	}
	if c.holdfast {
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
	if c.holdfast {
		return retry.Handler(h)
	}
	return h
}
