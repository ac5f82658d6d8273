package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// What an adaptive bulkhead sees of an answer: the failures, as errors for Adaptive.Overloaded to judge, and nothing else.
func TestHandlerAdaptiveStatuses(t *testing.T) {
	failures := []int{500, 502, 503, 504, 599}
	write := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	type row struct {
		do   http.HandlerFunc
		seen int // by Overloaded; 0: nothing
	}
	rows := map[string]row{
		"nothing":           {func(http.ResponseWriter, *http.Request) {}, 0},
		"text":              {served, 0},
		"hints, then 503":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(503) }, 503},
		"503 after 200":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); w.WriteHeader(503) }, 0},
		"503 after a flush": {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(503) }, 0},
		"503 by a controller": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			http.NewResponseController(w).Flush()
		}, 503},
		"503 to a WebSocket": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Connection", "upgrade")
			w.WriteHeader(503)
		}, 503},
		"503 of an event feed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(503)
		}, 503},
	}
	for _, status := range []int{200, 201, 204, 301, 304, 400, 401, 404, 408, 413, 425, 429, 499, 501, 505, 600, 999} {
		rows[fmt.Sprint(status)] = row{write(status), 0}
	}
	for _, status := range failures {
		rows[fmt.Sprint(status)] = row{write(status), status}
	}
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for name, row := range rows {
			var seen []error
			b := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Overloaded: func(err error) bool {
				seen = append(seen, err)
				return false
			}}})
			s := serve(bulkhead.Handler(b, row.do).ServeHTTP)
			if got := s.get(t, "/"); got.err != nil {
				t.Errorf("%s: %v", name, got.err)
			}
			books := s.quiet(t, b, 1)
			if row.seen == 0 {
				if len(seen) != 0 || books.Successes != 1 {
					t.Errorf("%s: saw %v: %+v", name, seen, books)
				}
				continue
			}
			var status *bulkhead.StatusError
			if len(seen) != 1 || !errors.As(seen[0], &status) || status.StatusCode != row.seen || books.Failures != 1 {
				t.Errorf("%s: saw %v: %+v", name, seen, books)
			}
		}
	})
}

// A share that is full says nothing of the whole: what a Handler below refuses is no overload of the one above, however
// many are in between. What a handler answers itself, after such a refusal or without, is.
func TestHandlerAdaptiveAboveAnother(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		seen := 0
		adaptive := func() *bulkhead.Bulkhead {
			return bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Overloaded: func(error) bool {
				seen++
				return true
			}}})
		}
		outer, middle := adaptive(), adaptive()
		tenants := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1}, Total: 10})
		inner := tenants.Handler(func(r *http.Request) string { return r.URL.Path }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		s := serve(bulkhead.Handler(outer, bulkhead.Handler(middle, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fallback" {
				inner.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusOK)
				return
			}
			inner.ServeHTTP(w, r)
		}))).ServeHTTP)
		defer taken(t, tenants.Get("/full"))()
		defer taken(t, tenants.Get("/fallback"))()
		for i, test := range []struct {
			path               string
			successes, ignored uint64
			failures           uint64
		}{
			{"/full", 0, 1, 0},
			{"/other", 0, 1, 1},
			{"/fallback", 1, 1, 1},
		} {
			if got := s.get(t, test.path); got.err != nil {
				t.Error(got.err)
			}
			for _, b := range []*bulkhead.Bulkhead{outer, middle} {
				books := s.quiet(t, b, uint64(i+1))
				if books.Successes != test.successes || books.Ignored != test.ignored || books.Failures != test.failures || seen != 2*int(test.failures) {
					t.Errorf("%s: %d seen, %+v", test.path, seen, books)
				}
			}
		}
	})
}

// Requests that say nothing of how long the work takes do not move the limit: it goes the same way with them as without.
func TestHandlerAdaptiveSamples(t *testing.T) {
	quick := map[string]http.HandlerFunc{
		"304": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) },
		"404": http.NotFound,
		"429": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"501": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(501) },
		"events": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
		},
		"upgrade": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Connection", "Upgrade")
			w.WriteHeader(200)
		},
	}
	// run returns where the limit was after each of the rounds.
	run := func(t *testing.T, other http.HandlerFunc) (limits []int) {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 1, Max: 50, Initial: 5}})
			h := bulkhead.Handler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/other" {
					other(w, r)
					return
				}
				time.Sleep(20 * time.Millisecond)
			}))
			send := func(ctx context.Context, path string) {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx))
			}
			for range 50 {
				for range 2 * b.Snapshot().Limit { // half of them are refused: the limit binds
					go send(t.Context(), "/")
				}
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				time.Sleep(11 * time.Millisecond)
				if other != nil {
					for range 10 {
						send(t.Context(), "/other")
					}
				}
				limits = append(limits, b.Snapshot().Limit)
			}
		})
		return limits
	}
	want := run(t, nil)
	if want[0] == want[len(want)-1] {
		t.Fatalf("the limit did not move: %v", want)
	}
	for name, other := range quick {
		if got := run(t, other); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the limit was\n%v, without them\n%v", name, got, want)
		}
	}
	if got := run(t, served); fmt.Sprint(got) == fmt.Sprint(want) {
		t.Logf("a 200 does not move it either: %v", got)
	}
}
