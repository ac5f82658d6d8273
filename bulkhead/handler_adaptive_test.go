package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// What an adaptive bulkhead sees of an answer: the failures, as errors for Adaptive.Overloaded to judge, and nothing else.
func TestHandlerAdaptiveStatuses(t *testing.T) {
	failures := []int{500, 502, 503, 504, 599}
	write := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		}
	}
	type row struct {
		do    http.HandlerFunc
		seen  int // by Overloaded; 0: nothing
		after time.Duration
	}
	rows := map[string]row{
		"nothing":           {func(http.ResponseWriter, *http.Request) {}, 0, 0},
		"text":              {served, 0, 0},
		"hints, then 503":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(503) }, 503, 0},
		"503 after 200":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); w.WriteHeader(503) }, 0, 0},
		"503 after a flush": {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(503) }, 0, 0},
		"503 by a controller": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			http.NewResponseController(w).Flush()
		}, 503, 0},
		"503 to a WebSocket": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Connection", "upgrade")
			w.WriteHeader(503)
		}, 503, 0},
		"503 of an event feed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(503)
		}, 503, 0},
	}
	for _, status := range []int{200, 201, 204, 301, 304, 400, 401, 404, 408, 413, 425, 429, 499, 501, 505, 600, 999} {
		rows[fmt.Sprint(status)] = row{do: write(status)}
	}
	for _, status := range failures {
		rows[fmt.Sprint(status)] = row{write(status), status, 7 * time.Second}
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
			if len(seen) != 1 || !errors.As(seen[0], &status) || status.StatusCode != row.seen || books.Failures != 1 || status.RetryAfter() != row.after {
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

// adaptiveCourse is where the limit was after each of some rounds, in which the limit binds, and between which there is
// something else if other is not nil. send makes a call that has its place for a time. No two calls begin or end at one
// moment: each course is the same each time.
func adaptiveCourse(t *testing.T, send func(b *bulkhead.Bulkhead, work time.Duration), other func(*bulkhead.Bulkhead)) (limits []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 1, Max: 50, Initial: 5}})
		for range 100 {
			for range 2 * b.Snapshot().Limit { // half of them are refused
				go send(b, 20*time.Millisecond)
				time.Sleep(time.Microsecond)
			}
			time.Sleep(35 * time.Millisecond)
			for range 10 {
				if other != nil {
					other(b)
				}
			}
			limits = append(limits, b.Snapshot().Limit)
		}
	})
	return limits
}

// unmoved checks that the limit goes the same way with the others as without, and that it would not with quick successes.
func unmoved(t *testing.T, send func(b *bulkhead.Bulkhead, work time.Duration), others map[string]func(*bulkhead.Bulkhead)) {
	t.Helper()
	want := fmt.Sprint(adaptiveCourse(t, send, nil))
	for name, other := range others {
		if got := fmt.Sprint(adaptiveCourse(t, send, other)); got != want {
			t.Errorf("%s: the limit was\n%v, without them\n%v", name, got, want)
		}
	}
	if got := fmt.Sprint(adaptiveCourse(t, send, func(b *bulkhead.Bulkhead) { send(b, 0) })); got == want {
		t.Errorf("nothing moves the limit: %v", got)
	}
}

// Requests that say nothing of how long the work takes do not move the limit.
func TestHandlerAdaptiveSamples(t *testing.T) {
	through := func(b *bulkhead.Bulkhead, h http.HandlerFunc) {
		bulkhead.Handler(b, h).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	send := func(b *bulkhead.Bulkhead, work time.Duration) {
		through(b, func(http.ResponseWriter, *http.Request) { time.Sleep(work) })
	}
	others := map[string]func(*bulkhead.Bulkhead){}
	for name, page := range map[string]http.HandlerFunc{
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
	} {
		others[name] = func(b *bulkhead.Bulkhead) { through(b, page) }
	}
	unmoved(t, send, others)
}

func TestTransportAdaptiveSamples(t *testing.T) {
	through := func(b *bulkhead.Bulkhead, base roundTripper) {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://host/", nil)
		if resp, err := bulkhead.Transport(b, base).RoundTrip(r); err == nil {
			resp.Body.Close()
		}
	}
	send := func(b *bulkhead.Bulkhead, work time.Duration) {
		through(b, func(r *http.Request) (*http.Response, error) {
			time.Sleep(work)
			return answering(200)(r)
		})
	}
	others := map[string]func(*bulkhead.Bulkhead){
		"refused below": func(b *bulkhead.Bulkhead) {
			through(b, func(*http.Request) (*http.Response, error) { return nil, &bulkhead.FullError{} })
		},
		"events": func(b *bulkhead.Bulkhead) {
			through(b, func(r *http.Request) (*http.Response, error) {
				resp, err := answering(200)(r)
				resp.Header.Set("Content-Type", "text/event-stream")
				resp.Body = io.NopCloser(strings.NewReader("data: 1\n\n"))
				return resp, err
			})
		},
	}
	for _, status := range []int{304, 400, 404, 501} {
		others[fmt.Sprint(status)] = func(b *bulkhead.Bulkhead) { through(b, answering(status)) }
	}
	unmoved(t, send, others)
}

// A Transport's latency is that of the header: callers who take their time with the body do not make the server slow, and
// lower no limit.
func TestTransportAdaptiveLatency(t *testing.T) {
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		time.Sleep(20 * time.Millisecond)
		resp, err := answering(200)(r)
		resp.Body = io.NopCloser(strings.NewReader("text"))
		return resp, err
	})
	course := func(t *testing.T, reading time.Duration) (limits []int) {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 1, Max: 50, Initial: 5}})
			for round := range 200 {
				for range b.Snapshot().Limit + 1 { // one is refused
					go func() {
						r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://host/", nil)
						resp, err := bulkhead.Transport(b, base).RoundTrip(r)
						if err != nil {
							return
						}
						if round >= 100 {
							time.Sleep(reading)
						}
						resp.Body.Close()
					}()
					time.Sleep(time.Microsecond) // no two at one moment: each course is the same each time
				}
				time.Sleep(100 * time.Millisecond)
				limits = append(limits, b.Snapshot().Limit)
			}
		})
		return limits
	}
	slow, quick := course(t, 70*time.Millisecond), course(t, 0)
	if slices.Min(slow[100:]) < slices.Min(quick[100:]) {
		t.Errorf("the limit was\n%v, with quick callers\n%v", slow, quick)
	}
}
