package holdfast_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// TestLimitEndsWithItsAttempt: however an attempt over HTTP ends, inside of a hedge and around one, its context has ended when the
// call is over and the body closed, by the attempt alone: the caller's lives on.
func TestLimitEndsWithItsAttempt(t *testing.T) {
	under := map[string]func(next http.RoundTripper) http.RoundTripper{
		"retry": func(next http.RoundTripper) http.RoundTripper {
			return retry.Transport(retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: -1, AttemptTimeout: time.Hour}), next)
		},
		"failover": func(next http.RoundTripper) http.RoundTripper {
			targets := []failover.Target[*url.URL]{}
			for _, host := range []string{"a.example", "b.example"} {
				targets = append(targets, failover.Target[*url.URL]{Name: host, Value: &url.URL{Scheme: "http", Host: host}})
			}
			g := failover.MustNew(failover.Config[*url.URL]{Targets: targets, AttemptTimeout: time.Hour})
			return failover.Transport(g, next)
		},
	}
	hedged := func(next http.RoundTripper) http.RoundTripper {
		return hedge.Transport(hedge.MustNew(hedge.Config{Delay: time.Millisecond, MaxExtraLoad: 1}), next)
	}
	nested := map[string]func(one func(http.RoundTripper) http.RoundTripper, next http.RoundTripper) http.RoundTripper{
		"alone": func(one func(http.RoundTripper) http.RoundTripper, next http.RoundTripper) http.RoundTripper {
			return one(next)
		},
		"in a hedge": func(one func(http.RoundTripper) http.RoundTripper, next http.RoundTripper) http.RoundTripper {
			return hedged(one(next))
		},
		"around a hedge": func(one func(http.RoundTripper) http.RoundTripper, next http.RoundTripper) http.RoundTripper {
			return one(hedged(next))
		},
	}
	for ending, send := range map[string]func(*http.Request) (*http.Response, error){
		"success":      func(*http.Request) (*http.Response, error) { return answer(200, "well"), nil },
		"bad response": func(*http.Request) (*http.Response, error) { return answer(503, "ill"), nil },
		"error":        func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") },
		"panic":        func(*http.Request) (*http.Response, error) { panic("planted") },
		"Goexit":       func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil },
		"the limit":    func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"late": func(r *http.Request) (*http.Response, error) { // though it was told to end
			time.Sleep(10 * time.Second)
			return answer(200, "late"), nil
		},
	} {
		for policy, one := range under {
			for order, nest := range nested {
				t.Run(policy+" "+order+", "+ending, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						caller, cancel := context.WithCancel(t.Context())
						defer cancel()
						var mu sync.Mutex
						var seen []context.Context
						rt := nest(one, roundTripper(func(r *http.Request) (*http.Response, error) {
							derived, stop := context.WithCancel(r.Context()) // as net/http does
							defer stop()
							mu.Lock()
							seen = append(seen, r.Context())
							mu.Unlock()
							if _, ok := derived.Deadline(); !ok {
								t.Error("the attempt has no limit")
							}
							return send(r)
						}))
						req, err := http.NewRequestWithContext(caller, http.MethodGet, "http://stub.example/", nil)
						if err != nil {
							t.Fatal(err)
						}
						over := make(chan struct{})
						go func() {
							defer close(over)
							defer func() { _ = recover() }()
							if resp, err := rt.RoundTrip(req); err == nil {
								_, _ = io.Copy(io.Discard, resp.Body)
								_ = resp.Body.Close()
							}
						}()
						<-over
						time.Sleep(time.Minute) // for losers, and what is late
						synctest.Wait()
						if len(seen) == 0 {
							t.Fatal("nothing was sent")
						}
						for i, ctx := range seen {
							if ctx.Err() == nil || !closed(ctx.Done()) {
								t.Errorf("the context of attempt %d of %d has not ended", i+1, len(seen))
							}
						}
						if caller.Err() != nil {
							t.Error("the caller's context has ended")
						}
					})
				})
			}
		}
	}
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
