package retry

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// Handler returns next, with its failures marked "do not retry" (Holdfast-Retry: no) when a retry below it was
// exhausted while it served the request. A [Transport] that called this server then does not repeat what has already
// been tried to the end, and so on up the chain: layers of three attempts make 3 calls, not 3 for each 3.
//
// It learns of retries that run under the request's context, r.Context(), and of no others. Only statuses that a client would retry are marked. It wraps nothing else: w keeps its optional interfaces.
func Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("retry.Handler: next is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := new(below)
		w = httpx.OnWriteHeader(w, func(status int, h http.Header) {
			if b.exhausted.Load() && httpx.Retryable(status) {
				DoNotRetry(h)
			}
		})
		under := r.WithContext(context.WithValue(r.Context(), belowKey{}, b))
		// What the mux and the handler have put into their copy is for who is outside; net/http removes the files of the form.
		defer func() { r.Pattern, r.MultipartForm = under.Pattern, under.MultipartForm }()
		next.ServeHTTP(w, under)
	})
}

// DoNotRetry marks a response, before its header is written, so that a [Transport] does not repeat the request: the
// handler knows that a repeat is pointless.
func DoNotRetry(h http.Header) { httpx.MarkNoRetry(h) }

// CallerAttempt returns which attempt of its caller a request is, as told in the Holdfast-Attempt header: 1 for the
// first, at most 1000. It is the client's word: fit for shedding and for logs, not for trust.
func CallerAttempt(r *http.Request) int { return httpx.Attempt(r.Header) }

type belowKey struct{}

// below is what a Handler wants to know of the retries below it.
type below struct{ exhausted atomic.Bool }

// tellServer tells the Handler above, if there is one, that a retry below it was exhausted.
func tellServer(ctx context.Context) {
	if b, ok := ctx.Value(belowKey{}).(*below); ok {
		b.exhausted.Store(true)
	}
}
