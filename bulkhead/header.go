package bulkhead

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// PriorityHeader carries the priority of a request from a [Transport] to a [Handler]: "sheddable", "normal" or
// "critical". It is sent if it is not "normal".
const PriorityHeader = "Holdfast-Priority"

// HeaderPriority is the priority that a request says it has; one that says nothing of sense has its context's. It is the
// default of Config.RequestPriority, and the beginning of one that does not believe everybody:
//
//	RequestPriority: func(r *http.Request) bulkhead.Priority {
//		return min(bulkhead.HeaderPriority(r), bulkhead.Normal) // strangers are not critical
//	}
func HeaderPriority(r *http.Request) Priority {
	if lines := r.Header[PriorityHeader]; len(lines) > 0 {
		word, _, _ := strings.Cut(lines[0], ",") // a proxy may make one line of several: the first counts
		word = textproto.TrimString(word)
		for _, p := range [...]Priority{Sheddable, Normal, Critical} {
			if strings.EqualFold(word, p.String()) {
				return p
			}
		}
	}
	return PriorityFrom(r.Context())
}

// withPriority is r under the priority that p says: r itself if that is what its context says already. Where the header
// was not believed the context says so, or a Transport under it would pass the header on, as a reverse proxy does.
func withPriority(r *http.Request, p Priority) *http.Request {
	ctx := r.Context()
	if _, told := r.Header[PriorityHeader]; !told && p == PriorityFrom(ctx) {
		return r
	}
	return r.WithContext(WithPriority(ctx, min(max(p, Sheddable), Critical)))
}

// priorityHeader is the header to be sent under ctx, and whether that is another than h. A context that has been given a
// priority has the last word; else a header that is there stays.
func priorityHeader(ctx context.Context, h http.Header) (http.Header, bool) {
	p, given := ctx.Value(priorityKey{}).(Priority)
	if !given {
		return h, false
	}
	var lines []string
	if p.class() != Normal.class() {
		lines = []string{p.String()}
	}
	if slices.Equal(h[PriorityHeader], lines) {
		return h, false
	}
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	if delete(h, PriorityHeader); lines != nil {
		h[PriorityHeader] = lines
	}
	return h, true
}
