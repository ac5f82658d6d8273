package contract

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// LivesUntilClosed is what an HTTP door may do in place of the row LivesOn: until the body is closed the context of the
// attempt lives, under its time limit, and follows the caller's. After that it may be ended, because nothing is read
// under it any more.
func LivesUntilClosed(t *testing.T, c *Cell) {
	bubbles(t, map[string]func(*testing.T, *opened){
		"open": func(t *testing.T, o *opened) {
			time.Sleep(o.limit / 2)
			alive(t, o.ctx, "half-way to the time limit")
		},
		"closed": func(t *testing.T, o *opened) {
			o.resp.Body.Close()
			time.Sleep(10 * o.limit)
			if errors.Is(o.ctx.Err(), context.DeadlineExceeded) {
				t.Error("the time limit went on after the body was closed")
			}
		},
		"past the limit": func(t *testing.T, o *opened) {
			time.Sleep(2 * o.limit)
			if o.ctx.Err() != context.DeadlineExceeded {
				t.Errorf("a body was open past the time limit, and its context says %v", o.ctx.Err())
			}
		},
		"the caller cancels": func(t *testing.T, o *opened) {
			o.cancel(errCause)
			follows(t, o.ctx)
		},
	}, func(t *testing.T, check func(*testing.T, *opened)) {
		o := open(t, c, time.Second)
		alive(t, o.ctx, "on return")
		check(t, o)
		o.resp.Body.Close()
		o.cancel(nil)
		synctest.Wait()
		o.s.Settled()
	})
	t.Run("no limit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := open(t, c, 0)
			o.resp.Body.Close()
			alive(t, o.ctx, "after Close")
			o.cancel(errCause)
			follows(t, o.ctx)
		})
	})
}

// opened is a response whose body is open, and the context that it was made under.
type opened struct {
	s      *Subject
	limit  time.Duration
	resp   *http.Response
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func open(t *testing.T, c *Cell, limit time.Duration) *opened {
	t.Helper()
	o := &opened{s: c.Fresh(t, Setup{AttemptTimeout: limit}), limit: limit}
	var parent context.Context
	parent, o.cancel = context.WithCancelCause(t.Context())
	req, err := http.NewRequestWithContext(parent, http.MethodGet, "http://"+Host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	o.resp, err = o.s.send(o.s.Transport(transport(func(req *http.Request) (*http.Response, error) {
		o.ctx = req.Context()
		return &http.Response{StatusCode: http.StatusOK, Request: req, Body: io.NopCloser(endless{}), ContentLength: -1}, nil
	})), req)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// endless is a body that has more to come.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }
