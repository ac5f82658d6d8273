package holdfast_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// What a policy below has refused is no value: a discard that closes what it gets would be given nil. It gets what attempts
// have made, a value that came with an error too.
func TestDiscardOnlyWhatWasMade(t *testing.T) {
	shut := breaker.MustNew(breaker.Config{})
	shut.Force(breaker.ForcedOpen)
	three := failover.MustNew(failover.Config[int]{Targets: []failover.Target[int]{{Name: "a", Value: 1}, {Name: "b", Value: 2}, {Name: "c", Value: 3}}})
	for name, test := range map[string]struct {
		policies []holdfast.Runner
		want     int32 // values discarded
	}{
		"refused at each target":          {[]holdfast.Runner{holdfast.OneOf(three), shut}, 0},
		"refused, somebody else's around": {[]holdfast.Runner{twice{}, shut}, 0},
		"refused, below a fallback":       {[]holdfast.Runner{holdfast.Fallback(func(_ context.Context, err error) (*int, error) { return nil, err }), shut}, 0},
		"failed at two targets":           {[]holdfast.Runner{holdfast.OneOf(three)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var discarded atomic.Int32
				v, err := holdfast.DoDiscard(t.Context(), holdfast.MustStack(test.policies...), func(context.Context) (*int, error) {
					return new(int), errDown
				}, func(v *int) {
					if v == nil {
						t.Error("nil was discarded, and nobody made it")
					}
					discarded.Add(1)
				})
				synctest.Wait()
				if err == nil || discarded.Load() != test.want || (v == nil) != (test.want == 0) {
					t.Errorf("%v, %v, %d discarded; want an error, and %d", v, err, discarded.Load(), test.want)
				}
			})
		})
	}
}

// A group that is switched off chooses nothing: there is no target, and fn has the caller's own context.
func TestTargetOfNoGroup(t *testing.T) {
	s := holdfast.MustStack((*retry.Policy)(nil), holdfast.OneOf[*url.URL](nil), (*hedge.Policy)(nil))
	err := s.Run(t.Context(), func(ctx context.Context) error {
		if target, ok := holdfast.Target[*url.URL](ctx); ok || ctx != t.Context() {
			t.Errorf("the target is %v; the context is the caller's: %v", target, ctx == t.Context())
		}
		return errDown
	})
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
}

// A request is served once, and sent once. What it came to speaks for or against the target that was chosen, and says nothing of
// the others of the group, which have not been asked.
func TestOneOfAsksOneTarget(t *testing.T) {
	for name, ask := range map[string]func(*holdfast.Stack) (status int, err error){
		"Handler": func(s *holdfast.Stack) (int, error) {
			w := httptest.NewRecorder()
			s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })).
				ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			return w.Code, nil
		},
		"Transport": func(s *holdfast.Stack) (int, error) { return sendTo(s, answer500) },
		"Transport, no response": func(s *holdfast.Stack) (int, error) {
			return sendTo(s, func(*http.Request) (*http.Response, error) { return nil, errDown })
		},
	} {
		t.Run(name, func(t *testing.T) {
			three := failover.MustNew(failover.Config[int]{Targets: []failover.Target[int]{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
			status, err := ask(holdfast.MustStack(holdfast.OneOf(three)))
			if name == "Transport, no response" && err != errDown || name != "Transport, no response" && (status != 500 || err != nil) {
				t.Errorf("%d, %v, want what came of it", status, err)
			}
			s := three.Snapshot()
			if s.Failures != 1 || s.Calls != 1 {
				t.Errorf("books %+v, want one failure", s)
			}
			for i, target := range s.Targets {
				if want := uint64(max(0, 1-i)); target.Failures != want {
					t.Errorf("%s: %d failures, want %d", target.Name, target.Failures, want)
				}
			}
		})
	}
}

func sendTo(s *holdfast.Stack, next sender) (int, error) {
	req := httptest.NewRequest(http.MethodGet, "http://a.test/", nil)
	resp, err := s.Transport(next).RoundTrip(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

type sender func(*http.Request) (*http.Response, error)

func (s sender) RoundTrip(req *http.Request) (*http.Response, error) { return s(req) }

func answer500(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 500, Request: req, Header: http.Header{}, Body: http.NoBody}, nil
}

// A request whose time was up before it was served is told so; one that was cancelled is hung up on. The server would say 200
// to both.
func TestHandlerNotServed(t *testing.T) {
	for name, first := range map[string]holdfast.Runner{
		"breaker":  breaker.MustNew(breaker.Config{}),
		"failover": holdfast.OneOf(failover.MustNew(failover.Config[int]{Targets: []failover.Target[int]{{Name: "a"}}})),
	} {
		for _, two := range []bool{false, true} {
			var end func(context.Context) (context.Context, context.CancelFunc)
			under := holdfast.MustStack(first).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was served") }))
			server := serve(t, two, func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := end(r.Context())
				defer cancel()
				under.ServeHTTP(w, r.WithContext(ctx))
			})
			end = func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithDeadline(ctx, time.Unix(1, 0))
			}
			resp, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s, HTTP/2 %v: %s, %v; want 503, and when to come back", name, two, resp.Status, resp.Header)
			}
			end = func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return ctx, cancel
			}
			if resp, err := server.Client().Get(server.URL); err == nil {
				resp.Body.Close()
				t.Errorf("%s, HTTP/2 %v: cancelled here: %s, want no answer", name, two, resp.Status)
			}
		}
	}
}

// What a retry has followed by another attempt is discarded too, in each order: no value is lost.
func TestRetryDiscards(t *testing.T) {
	three := func() holdfast.Runner {
		return retries(retry.Config{MaxAttempts: 3, RetryIf: func(error) bool { return true }})
	}
	hedges := func() holdfast.Runner { return hedge.MustNew(hedge.Config{Delay: -1, MaxExtraLoad: -1}) }
	for name, policies := range map[string][]holdfast.Runner{
		"alone":                {three()},
		"around a hedge":       {three(), hedges()},
		"in a hedge":           {hedges(), three()},
		"around another":       {three(), three()},
		"around a policy off":  {three(), (*retry.Policy)(nil)},
		"off":                  {(*retry.Policy)(nil), three()},
		"around somebody's":    {three(), twice{}},
		"in one of a registry": {holdfast.MustStack(stackIn(t, registryOf(t, `{"stacks": {"a": [{"retry": {"max_attempts": 3, "base_delay": "-1s"}}]}}`), "a"))},
	} {
		for _, succeeds := range []int32{0, 1, 2, 3} {
			synctest.Test(t, func(t *testing.T) {
				var made, dropped atomic.Int32
				v, _ := holdfast.DoDiscard(t.Context(), holdfast.MustStack(policies...), func(context.Context) (*int, error) {
					if n := made.Add(1); n == succeeds {
						return new(int), nil
					}
					return new(int), errDown
				}, func(*int) { dropped.Add(1) })
				synctest.Wait()
				if v == nil || dropped.Load() != made.Load()-1 {
					t.Errorf("%s: %v, %d discarded of %d", name, v, dropped.Load(), made.Load())
				}
			})
		}
	}
}
