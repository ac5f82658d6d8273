package bulkhead

import (
	"context"
	"net/http"
	"net/textproto"
	"strings"
)

// PriorityHeader carries the priority of a request from a [Transport] to a [Handler]: "sheddable", "normal" or
// "critical". It is sent if it is not "normal".
const PriorityHeader = "Holdfast-Priority"

// headerPriority is the default of Config.RequestPriority: what the header says, else what the context says.
func headerPriority(r *http.Request) Priority {
	if lines := r.Header[PriorityHeader]; len(lines) > 0 {
		word := textproto.TrimString(lines[0])
		for _, p := range [...]Priority{Sheddable, Normal, Critical} {
			if strings.EqualFold(word, p.String()) {
				return p
			}
		}
	}
	return PriorityFrom(r.Context())
}

// withHeader is the header to be sent under ctx: the request's own if that has the priority already.
func withHeader(ctx context.Context, h http.Header) http.Header {
	p := PriorityFrom(ctx)
	if _, given := h[PriorityHeader]; given || p == Normal {
		return h
	}
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	h[PriorityHeader] = []string{p.String()}
	return h
}
