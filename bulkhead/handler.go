package bulkhead

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Handler returns next with its requests under the bulkhead, so that a server does the work that it can do in time and
// refuses the rest at once. A nil b lets all requests pass.
//
// A request that has no place is answered with 503 (429 if the Rate refused it) and a Retry-After of at least a second,
// a little different each time so that clients do not come back together. The header Holdfast-Refused: yes says that this is
// about the one request, so that a breaker in the client stays closed for the others. A request that was cancelled while it waited is not
// answered: its client has gone, or finds the connection closed. Config.Exempt says what needs no place,
// Config.RequestPriority what goes first.
//
// next gets the very ResponseWriter of the server: flushing, hijacking and http.ResponseController work as ever, and a
// panic, http.ErrAbortHandler too, goes on to the server when the place is back. The place is held until next returns, for
// a WebSocket that may be hours: exempt it, or give it a bulkhead of its own. What is served is a success, whatever its
// status; a panic is a failure.
//
// With Config.Adaptive the writer is one that sees the status. It can do what the server's can, but that
// [http.MaxBytesReader] cannot tell it to close the connection. Status 5xx, but 501 and 505, are failures, as a
// [*StatusError] to Adaptive.Overloaded. What was quick because there was nothing to do, 304 and 4xx (429 too, which is
// about one client), is no sample of the latency; nor are WebSockets, event streams, requests whose client has gone, and
// those that a Handler below has refused.
func Handler(b *Bulkhead, next http.Handler) http.Handler {
	if next == nil {
		panic("bulkhead.Handler: next is nil")
	}
	if b == nil {
		return next
	}
	return &handler{next: next, one: b}
}

// ExemptPaths is a Config.Exempt for requests of exactly these paths: ExemptPaths("/healthz", "/readyz").
func ExemptPaths(paths ...string) func(*http.Request) bool {
	paths = slices.Clone(paths)
	return func(r *http.Request) bool { return slices.Contains(paths, r.URL.Path) }
}

type handler struct {
	next http.Handler
	one  *Bulkhead // nil: of a Keyed
	set  *atomic.Pointer[settings]
	of   func(*http.Request) *Bulkhead
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c call
	set := c.prepare(h.one, h.set)
	if set.exempts(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	b := h.one
	if b == nil {
		b = h.of(r)
	}
	under := withPriority(r, set.requestPriority(r))
	defer func() {
		handUp(r, under)
		if c.open { // a panic, or runtime.Goexit
			c.leave(w, r)
		}
	}()
	if err := c.begin(under.Context(), b, false); err != nil {
		refuse(w, under.Context(), err)
		return
	}
	if c.traced() {
		under = under.WithContext(c.ctx)
	}
	var a *answer
	if c.wait.terms.finder != nil {
		a = new(answer)
		w, under = a.watch(w, under)
	}
	h.next.ServeHTTP(w, under)
	outcome, verdict := a.verdict(c.ctx)
	c.settleServed(w, r, outcome, verdict)
}

// prepare is for requests, of which something is asked before the call begins: it has the terms from here on, so that all is
// by the same. Those of a Keyed have a bulkhead only when they need one: it returns the settings of the set.
func (c *call) prepare(b *Bulkhead, set *atomic.Pointer[settings]) *settings {
	if b == nil {
		return set.Load()
	}
	c.wait.terms = b.terms.Load()
	return c.wait.terms.settings
}

// exempts reports whether a request needs no place.
func (s *settings) exempts(r *http.Request) bool { return s.exempt != nil && s.exempt(r) }

// settleServed is settle for a request that had a place.
func (c *call) settleServed(w http.ResponseWriter, r *http.Request, o outcome, verdict error) {
	if c.place.start != 0 && o != failed && lasting(httpx.IsUpgrade(r), w.Header()) {
		c.place.start = 0
	}
	c.settle(o, verdict)
}

// leave is for a handler that panicked, or ended its goroutine. That is how httputil.ReverseProxy, say, takes note of a
// client that has gone.
func (c *call) leave(w http.ResponseWriter, r *http.Request) {
	over := false
	defer func() {
		if !over { // the context's methods panicked
			c.abort()
		}
	}()
	err := c.ctx.Err()
	gone := errors.Is(err, context.Canceled)
	over = gone
	if gone {
		c.settleServed(w, r, ignored, err)
	}
}

// handUp hands what the mux and the handler have put into their copy of the request to the server's own: who is outside
// may look at the pattern, and net/http removes the files of the form.
func handUp(r, under *http.Request) {
	if under != r {
		r.Pattern, r.MultipartForm = under.Pattern, under.MultipartForm
	}
}

// answer is what a request came to, as an adaptive bulkhead sees it. The nil answer is that nobody looks.
type answer struct {
	status  int // 0: nothing was written, which is 200
	failure *StatusError
	refused httpx.Refusal // by a handler below
}

// watch returns the writer and the request with which the answer is seen.
func (a *answer) watch(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	w = httpx.OnWriteHeader(w, func(status int, h http.Header) {
		if a.status = status; httpx.Failure(status) {
			a.failure = httpx.NewStatusError(&http.Response{StatusCode: status, Header: h}, time.Now())
		}
	})
	return w, r.WithContext(httpx.WatchRefusal(r.Context(), &a.refused))
}

// verdict judges a request that was served under ctx.
func (a *answer) verdict(ctx context.Context) (outcome, error) {
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled): // the client has gone; how long it took says nothing
		return ignored, err
	case a == nil:
		return succeeded, nil
	case a.failure != nil && a.refused.Seen(): // a share of the work was full, which says nothing of the whole
		return ignored, nil
	case a.failure != nil && a.status != http.StatusTooManyRequests: // 429 is about one client, not the server
		return failed, a.failure
	case !telling(a.status):
		return unmeasured, nil
	}
	return succeeded, nil
}

// refuse answers a request that has no place.
func refuse(w http.ResponseWriter, ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) { // not ctx.Err: a request that was refused, and cancelled since, is answered as one
		httpx.HangUp(w)
		return
	}
	status, after := http.StatusServiceUnavailable, time.Duration(0)
	var full *FullError
	if errors.As(err, &full) {
		after = full.RetryAfter()
		if full.Reason == ReasonRate {
			status = http.StatusTooManyRequests
		}
	}
	httpx.MarkRefused(w.Header())
	httpx.Refuse(ctx, w, status, after)
}
