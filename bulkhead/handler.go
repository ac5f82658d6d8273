package bulkhead

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Handler returns next with its requests under the bulkhead, so that a server does the work that it can do in time and
// refuses the rest at once. A nil b lets all requests pass.
//
// A request that has no place is answered with 503 (429 if the Rate refused it) and a Retry-After of at least a second,
// a little different each time so that clients do not come back together. If the client has gone, nothing is written.
// Config.Exempt says what needs no place, Config.RequestPriority what goes first.
//
// next gets the very ResponseWriter of the server: flushing, hijacking and http.ResponseController work as ever, and a
// panic, http.ErrAbortHandler too, goes on to the server when the place is back. The place is held until next returns, for
// a WebSocket that may be hours: exempt it, or give it a bulkhead of its own. (With Config.Adaptive the writer is
// one that sees the status, and can do what the server's can; a status above 399 is no sample of the latency.)
func Handler(b *Bulkhead, next http.Handler) http.Handler {
	if next == nil {
		panic("bulkhead.Handler: next is nil")
	}
	if b == nil {
		return next
	}
	return &handler{next, func(*http.Request) *Bulkhead { return b }}
}

// ExemptPaths is a Config.Exempt for requests of exactly these paths: ExemptPaths("/healthz", "/readyz").
func ExemptPaths(paths ...string) func(*http.Request) bool {
	return func(r *http.Request) bool { return slices.Contains(paths, r.URL.Path) }
}

type handler struct {
	next http.Handler
	of   func(*http.Request) *Bulkhead
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := h.of(r)
	if b == nil || b.set.exempt != nil && b.set.exempt(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	ctx := r.Context()
	if p := b.set.requestPriority(r); p != PriorityFrom(ctx) {
		ctx = WithPriority(ctx, p)
	}
	var c call
	defer func() {
		if c.open { // a panic, or runtime.Goexit
			c.abort()
		}
	}()
	if err := c.begin(ctx, b, false); err != nil {
		refuse(w, ctx, err)
		return
	}
	if c.ctx != r.Context() {
		r = r.WithContext(c.ctx)
	}
	status := http.StatusOK
	if b.finder != nil {
		w = httpx.OnWriteHeader(w, func(s int, _ http.Header) { status = s })
	}
	h.next.ServeHTTP(w, r)
	c.settle(served(r, status))
}

// served is what a request that was served comes to.
func served(r *http.Request, status int) (outcome, error) {
	switch err := r.Context().Err(); {
	case errors.Is(err, context.Canceled): // the client has gone; how long it took says nothing
		return ignored, err
	case httpx.Failure(status):
		return failed, &StatusError{StatusCode: status}
	case status >= http.StatusBadRequest, httpx.IsUpgrade(r):
		return ignored, nil
	default:
		return succeeded, nil
	}
}

// refuse answers a request that has no place.
func refuse(w http.ResponseWriter, ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the client has gone: there is nobody to answer
	}
	status, after := http.StatusServiceUnavailable, time.Duration(0)
	var full *FullError
	if errors.As(err, &full) {
		after = full.RetryAfter()
		if full.Reason == ReasonRate {
			status = http.StatusTooManyRequests
		}
	}
	w.Header().Set("Retry-After", strconv.Itoa(comeBack(after)))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status) // the error's text has the bulkhead's name, which is nobody's business
}

const longestRetryAfter = time.Hour

// comeBack is a time in whole seconds: at least one, and up to twice as long, at random.
func comeBack(after time.Duration) int {
	seconds := int((min(after, longestRetryAfter) + time.Second - 1) / time.Second)
	seconds = max(seconds, 1)
	return seconds + rand.IntN(seconds+1)
}
