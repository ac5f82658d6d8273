package main

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/holdfast-go/holdfast"
)

// door is a way through a stack.
type door struct {
	name string
	call func(ctx context.Context, w *world, c *call) ([]byte, error)
}

// doors are all of them. Those of functions are the rest, after the first.
var doors = []door{
	{"Transport", throughTransport},
	{"Do", func(ctx context.Context, w *world, c *call) ([]byte, error) {
		return holdfast.Do(ctx, w.stack, func(ctx context.Context) ([]byte, error) { return w.get(ctx, c) })
	}},
	{"DoDiscard", func(ctx context.Context, w *world, c *call) ([]byte, error) {
		return read(holdfast.DoDiscard(ctx, w.stack,
			func(ctx context.Context) (*http.Response, error) { return w.fetch(ctx, c) },
			func(resp *http.Response) {
				if resp != nil {
					_ = resp.Body.Close() // what was lost is nobody's any more
				}
			}))
	}},
	{"Wrap", func(ctx context.Context, w *world, c *call) ([]byte, error) {
		return holdfast.Wrap(w.stack, w.get)(ctx, c)
	}},
	{"Run", func(ctx context.Context, w *world, c *call) ([]byte, error) {
		err := w.stack.Run(ctx, func(ctx context.Context) error {
			body, err := w.get(ctx, c)
			if err == nil {
				w.compare(c, body) // attempts run beside each other: none may put it where others do
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return c.want(), nil
	}},
}

// service is what a client calls that knows nothing of targets.
var service = &url.URL{Scheme: "http", Host: "service.test"}

// throughTransport is a client's call: the target is the failover's affair.
func throughTransport(ctx context.Context, w *world, c *call) ([]byte, error) {
	req, err := w.request(ctx, c, service)
	if err != nil {
		return nil, err
	}
	return read(good(w.client.Do(req)))
}

// fetch makes one attempt, at the target that the failover above has chosen.
func (w *world) fetch(ctx context.Context, c *call) (*http.Response, error) {
	target, ok := holdfast.Target[*url.URL](ctx)
	if !ok {
		w.complain("%s: there is no target in the context", c)
		target = w.site.urls[0]
	}
	req, err := w.request(ctx, c, target)
	if err != nil {
		return nil, err
	}
	return good(w.wire.RoundTrip(req))
}

// get is fetch, and reads the answer.
func (w *world) get(ctx context.Context, c *call) ([]byte, error) { return read(w.fetch(ctx, c)) }

// good makes an error of a response that is none.
func good(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // what it says is of no use
		return nil, newStatusError(resp)
	}
	return resp, nil
}

func read(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
