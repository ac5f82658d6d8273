package holdfast

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Fallback returns a policy that has another answer where what is below fails: fn gets the error, and its result is that of
// the call: a cached value, a default, or an error that says more. It is for calls of that type, and lets others pass; in
// [Stack.Transport] for *http.Response, where a status of 5xx or 429 is a failure too (an error of fn then leaves the response
// as it is). fn is not asked after the caller cancelled.
//
// Put it outside of all others: what is around a Fallback never hears of a failure. fn may run several times at once.
func Fallback[T any](fn func(ctx context.Context, err error) (T, error)) Runner {
	if fn == nil {
		panic("holdfast.Fallback: " + errNilFunc.Error())
	}
	return &fallback[T]{fn}
}

type fallback[T any] struct {
	instead func(context.Context, error) (T, error)
}

// answers is a fallback, whatever its type.
type answers interface{ answersFailures() }

func (f *fallback[T]) answersFailures() {}

func (f *fallback[T]) String() string { return "fallback" }

// Run implements Runner. It is for calls of another type, which pass.
func (f *fallback[T]) Run(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

// do is the fallback for a call of its type. The value of a failure goes to discard, if another takes its place.
func (f *fallback[T]) do(ctx context.Context, fn func(context.Context) (T, error), discard func(T)) (T, error) {
	h := &hand[T]{discard: discard}
	defer h.close()
	err := ended(ctx)
	if err == nil {
		var v T
		v, err = fn(ctx)
		h.put(v, err)
	}
	if err == nil || canceled(ctx) {
		return h.take(), err
	}
	return f.instead(ctx, err) // and what is in hand is discarded, should it panic, too
}

// ended is the error of a call whose context is done before it begins.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return cause.Of("fallback", ctx)
}

func canceled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// Transport implements Transporter.
func (f *fallback[T]) Transport(next http.RoundTripper) http.RoundTripper {
	if responses, ok := any(f).(*fallback[*http.Response]); ok {
		return &fallbackTransport{httpx.OverNext(next), responses.instead}
	}
	return next
}

type fallbackTransport struct {
	httpx.Over
	instead func(context.Context, error) (*http.Response, error)
}

func (t *fallbackTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.below(req)
	if canceled(req.Context()) || err == nil && !httpx.Failure(resp.StatusCode) {
		return resp, err
	}
	why := err
	if why == nil {
		why = httpx.NewStatusError(resp, time.Now())
	}
	keep := false
	defer func() {
		if !keep { // another has taken its place, or fn has panicked
			httpx.Discard(resp)
		}
	}()
	other, otherErr := t.instead(req.Context(), why)
	switch {
	case otherErr == nil && other != nil:
		other.Request = req
		return other, nil
	case err == nil: // there is no other answer: the one that came is better than none
		keep = true
		httpx.Discard(other)
		return resp, nil
	case otherErr == nil:
		return nil, err
	default:
		httpx.Discard(other)
		return nil, otherErr
	}
}

func (t *fallbackTransport) below(req *http.Request) (*http.Response, error) {
	if err := ended(req.Context()); err != nil {
		httpx.CloseBody(req)
		return nil, err
	}
	return httpx.RoundTrip(t.Below, req)
}
