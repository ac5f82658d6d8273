package httpx

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Refuse answers a request that a server does not work on, with a Retry-After: at least a second, and up to twice as long, so
// that clients do not come back together. Who watches for refusals in ctx, or outside of that, hears of it.
func Refuse(ctx context.Context, w http.ResponseWriter, status int, after time.Duration) {
	for r, _ := ctx.Value(refusalKey{}).(*Refusal); r != nil; r = r.above {
		r.seen.Store(true)
	}
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(comeBack(after)))
	h.Set("Cache-Control", "no-store")
	if h.Get("Content-Encoding") != "" { // set outside, for a body that will not come, or one that is encoded on its way
		h.Del("Content-Length")
		w.WriteHeader(status)
		return
	}
	http.Error(w, http.StatusText(status), status) // the text of an error has names in it that are nobody's business
}

// HangUp ends an exchange to which there is no answer. The client has gone; but should it have been this process that cancelled,
// it is there, and the server would say 200 because nothing was written.
func HangUp(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	if conn, _, err := c.Hijack(); err == nil {
		_ = conn.Close() // there is nobody to tell
		return
	}
	if err := c.SetWriteDeadline(time.Unix(1, 0)); errors.Is(err, http.ErrNotSupported) { // on HTTP/2 that resets the stream
		w.WriteHeader(http.StatusServiceUnavailable) // of somebody's own writer: all that there is to say no
	}
}

// RefusedHeader with the value "yes" is on the answer to a request that found no place: a word about this request, and not,
// as its status and its Retry-After alone could be read, about all others.
const RefusedHeader = "Holdfast-Refused"

const yes = "yes"

// MarkRefused marks a response as such an answer. h is the response's header, before it is written.
func MarkRefused(h http.Header) { h.Set(RefusedHeader, yes) }

// Refused reports whether a response is marked so. Of another status than those that a request without a place is answered with,
// the mark has been left over by who answered something else in the end, and that may be after work was done.
func Refused(resp *http.Response) bool {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return false
	}
	for _, line := range resp.Header[RefusedHeader] {
		if strings.EqualFold(textproto.TrimString(line), yes) {
			return true
		}
	}
	return false
}

// WorkedInVain reports whether an attempt failed that may have been worked on.
func WorkedInVain(resp *http.Response, err error) bool {
	if err != nil {
		refusal, ok := errors.AsType[interface {
			error
			Refused() bool
		}](err)
		return !(ok && refusal.Refused()) && !NotSent(err)
	}
	return resp.StatusCode >= 400 && !Refused(resp)
}

// UnmarkRefused takes the mark off, where the response is to stand for attempts of which others were worked on.
func UnmarkRefused(resp *http.Response) {
	if Refused(resp) {
		resp.Header = resp.Header.Clone() // a test double may hand out one header for all its responses
		resp.Header.Del(RefusedHeader)
	}
}

// Verdict is a response as an error: a [StatusError], and a refusal if it is marked as one.
func Verdict(resp *http.Response, now time.Time) error {
	status := NewStatusError(resp, now)
	if Refused(resp) {
		return &refusedThere{status}
	}
	return status
}

// refusedThere is one request's refusal by a server that works on others. A server that refuses a few in a burst is not down:
// were they failures, or their Retry-After heard, it would lose all calls of this client for the sake of those few.
type refusedThere struct{ status *StatusError }

func (e *refusedThere) Error() string { return "refused: " + e.status.Error() }
func (e *refusedThere) Unwrap() error { return e.status }
func (e *refusedThere) Refused() bool { return true }

// Refusal is whether a handler below has refused a request, which says nothing of the server to who judges it by its status.
type Refusal struct {
	seen  atomic.Bool
	above *Refusal
}

type refusalKey struct{}

// WatchRefusal returns the context for the handlers below. r is the place to look afterwards.
func WatchRefusal(ctx context.Context, r *Refusal) context.Context {
	r.above, _ = ctx.Value(refusalKey{}).(*Refusal)
	return context.WithValue(ctx, refusalKey{}, r)
}

// Seen reports whether there was one.
func (r *Refusal) Seen() bool { return r.seen.Load() }

const longestComeBack = time.Hour

// comeBack is a time in whole seconds: at least one, and up to twice as long, at random.
func comeBack(after time.Duration) int {
	seconds := int((min(max(after, 0), longestComeBack) + time.Second - 1) / time.Second)
	seconds = max(seconds, 1)
	return seconds + rand.IntN(seconds+1)
}
