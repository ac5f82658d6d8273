package chaos

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// reshape puts faults into the body of a response.
func (c *call) reshape(resp *http.Response) {
	s := c.shape
	if s.replace != nil {
		old := *resp
		s.replace.putBody(resp)
		httpx.Discard(&old)
	}
	if s.cut != nil || s.rate > 0 || s.spoilEvery > 0 {
		resp.Body = &body{inner: resp.Body, ctx: c.ctx, shape: s, closed: make(chan struct{})}
	}
}

// body is that of a response with faults in it. Read is for one goroutine at a time, Close for any.
type body struct {
	inner io.ReadCloser
	ctx   context.Context
	shape *shape
	fault error // it was cut, or its context ended

	close  sync.Once
	closed chan struct{}
}

func (b *body) Read(p []byte) (int, error) {
	if b.fault != nil {
		return 0, b.fault
	}
	if len(p) == 0 {
		return b.inner.Read(p)
	}
	room := b.shape.room(len(p))
	if room <= 0 {
		return b.end(p)
	}
	n, err := b.inner.Read(p[:room])
	if b.fault = b.wait(b.shape.pass(p[:n])); b.fault != nil {
		return 0, b.fault
	}
	return n, err
}

// end is where it is cut, if there is more.
func (b *body) end(p []byte) (int, error) {
	n, err := b.inner.Read(p[:1])
	if n == 0 {
		return 0, err
	}
	if b.shape.run.ended() { // switched off in between: p has what comes next
		b.shape.pass(p[:n])
		return n, err
	}
	b.fault = b.shape.over(io.ErrUnexpectedEOF)
	if b.shape.cut.Kind == Reset {
		b.fault = b.shape.over(errReset)
	}
	_ = b.inner.Close() // as a connection that is gone
	return 0, b.fault
}

// wait is how long bytes take.
func (b *body) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.shape.run.over.Done():
	case <-b.closed:
		return http.ErrBodyReadAfterClose
	case <-b.ctx.Done():
		return cause.Of(b.shape.in.label(), b.ctx)
	}
	return nil
}

// Close may be called as often as the inner body's, and ends a Read that waits.
func (b *body) Close() error {
	b.close.Do(func() { close(b.closed) })
	return b.inner.Close()
}
