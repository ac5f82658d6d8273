package bench_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/cristalhq/hedgedhttp"
	"github.com/failsafe-go/failsafe-go"
	failsafebulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// stub answers every request with a fresh 200, as cheaply as a RoundTripper can.
type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// BenchmarkHTTP is a GET that succeeds at once, over a stub: what a RoundTripper adds to a client. The stack is retry,
// breaker and bulkhead, without and with a time limit for each attempt. No hedge fires.
func BenchmarkHTTP(b *testing.B) {
	measure(b, "retry", gets(
		tripper{"floor", stub{}},
		tripper{"holdfast", retry.Transport(retry.MustNew(threeLayers().retry), stub{})},
		tripper{"failsafehttp", failsafehttp.NewRoundTripper(stub{}, failsafehttp.NewRetryPolicyBuilder().Build())},
		tripper{"go-retryablehttp", retryable(stub{})},
	)...)
	three := threeLayers()
	measure(b, "stack", gets(append([]tripper{{"floor", stub{}}}, httpStacks(three, stub{})...)...)...)
	three.retry.AttemptTimeout = limit
	measure(b, "stack-timeout", gets(append([]tripper{{"floor", stub{}}}, httpStacks(three, stub{})...)...)...)
	measure(b, "hedge", gets(
		tripper{"floor", stub{}},
		tripper{"holdfast", hedge.Transport(hedge.MustNew(hedge.Config{Delay: time.Second}), stub{})},
		tripper{"holdfast.learned", hedge.Transport(hedge.MustNew(hedge.Config{}), stub{})},
		tripper{"failsafehttp", failsafehttp.NewRoundTripper(stub{}, hedgepolicy.NewWithDelay[*http.Response](time.Second))},
		tripper{"hedgedhttp", hedged(b, stub{})},
	)...)
}

// tripper is a side of an HTTP job.
type tripper struct {
	name string
	rt   http.RoundTripper
}

// gets makes sides of trippers. A RoundTripper may not change its request, so that one serves all calls of a goroutine.
func gets(trippers ...tripper) []side {
	var sides []side
	for _, t := range trippers {
		sides = append(sides, side{t.name, func(ctx context.Context) func() error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stub.example/", nil)
			if err != nil {
				return func() error { return err }
			}
			return func() error {
				resp, err := t.rt.RoundTrip(r)
				if err != nil {
					return err
				}
				return resp.Body.Close()
			}
		}})
	}
	return sides
}

func retryable(next http.RoundTripper) http.RoundTripper {
	client := retryablehttp.NewClient()
	client.RetryMax = attempts - 1
	client.Logger = nil // it prints each request otherwise
	client.HTTPClient.Transport = next
	return &retryablehttp.RoundTripper{Client: client}
}

func hedged(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	rt, err := hedgedhttp.NewRoundTripper(time.Second, 2, next) // two attempts, the first included
	if err != nil {
		tb.Fatal(err)
	}
	return rt
}

// httpStacks are the stacks over next: with one breaker, as those of the peers, and ours with one for each host too.
func httpStacks(l layers, next http.RoundTripper) []tripper {
	retries, users, slots := l.make()
	hosts := breaker.MustNewKeyed[string](breaker.KeyedConfig{Config: l.breaker})
	return []tripper{
		{"holdfast", retry.Transport(retries, breaker.TransportFor(users, bulkhead.Transport(slots, next)))},
		{"holdfast.Keyed", retry.Transport(retries, breaker.Transport(hosts, bulkhead.Transport(slots, next)))},
		{"holdfast.Stack", holdfast.MustStack(retries, users, slots).Transport(next)},
		{"failsafehttp", failsafeHTTP(l, next)},
		{"hand-nested", &nested{
			next:   next,
			users:  gobreaker.NewCircuitBreaker[*http.Response](ratioSettings()),
			places: semaphore.NewWeighted(places),
			limit:  l.retry.AttemptTimeout,
		}},
	}
}

func failsafeHTTP(l layers, next http.RoundTripper) http.RoundTripper {
	policies := []failsafe.Policy[*http.Response]{
		failsafehttp.NewRetryPolicyBuilder().WithMaxAttempts(attempts).Build(),
		circuitbreaker.NewBuilder[*http.Response]().
			HandleIf(func(r *http.Response, err error) bool { return err != nil || r != nil && r.StatusCode >= 500 }).
			WithFailureRateThreshold(ratio, minCalls, window).WithDelay(5 * time.Second).Build(),
		failsafebulkhead.New[*http.Response](places),
	}
	if l.retry.AttemptTimeout > 0 {
		policies = append(policies, timeout.New[*http.Response](l.retry.AttemptTimeout))
	}
	return failsafehttp.NewRoundTripper(next, policies...)
}

// nested is backoff around gobreaker around a semaphore, as one would write it: a status of 5xx is a failure, a limit stops
// when the body is closed.
type nested struct {
	next   http.RoundTripper
	users  *gobreaker.CircuitBreaker[*http.Response]
	places *semaphore.Weighted
	limit  time.Duration
}

var errStatus = errors.New("the status is one of failure")

func (n *nested) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	resp, err := backoff.RetryWithData(func() (*http.Response, error) {
		return n.users.Execute(func() (*http.Response, error) {
			if err := n.places.Acquire(ctx, 1); err != nil {
				return nil, backoff.Permanent(err)
			}
			defer n.places.Release(1)
			return n.attempt(r)
		})
	}, backoff.WithContext(backoff.WithMaxRetries(&backoff.ZeroBackOff{}, attempts-1), ctx))
	if errors.Is(err, errStatus) {
		return resp, nil
	}
	return resp, err
}

func (n *nested) attempt(r *http.Request) (*http.Response, error) {
	if n.limit == 0 {
		return judged(n.next.RoundTrip(r))
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.limit)
	resp, err := n.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelBody{resp.Body, cancel}
	return judged(resp, nil)
}

func judged(resp *http.Response, err error) (*http.Response, error) {
	if err == nil && resp.StatusCode >= 500 {
		err = fmt.Errorf("%d: %w", resp.StatusCode, errStatus)
	}
	return resp, err
}

type cancelBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelBody) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
