package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

// Idempotent reports whether the request may be sent twice with the effect of
// once: by its method (RFC 9110, 9.2.2; the empty one is GET), or because the
// caller says so with an Idempotency-Key or X-Idempotency-Key.
//
// It is the entry in the map that counts, as in net/http: with an empty slice for
// its value the caller says so and nothing is sent.
func Idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		http.MethodPut, http.MethodDelete:
		return true
	}
	if _, ok := req.Header["Idempotency-Key"]; ok {
		return true
	}
	_, ok := req.Header["X-Idempotency-Key"]
	return ok
}

// Replayable reports whether the body can be sent again: there is none, or
// GetBody makes a fresh one. Nothing here ever reads a body to keep it.
func Replayable(req *http.Request) bool {
	return !hasBody(req) || req.GetBody != nil
}

func hasBody(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody
}

// IsUpgrade reports whether the request asks for the connection itself, to speak
// something else on it: an upgrade (WebSocket), or a CONNECT tunnel. Such a
// request is neither repeated nor timed, and its body is a conversation.
func IsUpgrade(req *http.Request) bool {
	if req.Method == http.MethodConnect {
		return true
	}
	for _, line := range req.Header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

var (
	errNoGetBody  = errors.New("http: request body cannot be sent again: no GetBody")
	errNilGetBody = errors.New("http: request body cannot be sent again: GetBody returned nil")
)

// Resend returns the request for an attempt after the first: the caller's
// request under ctx, with a header of its own, so that what a transport below
// writes there does not meet what it wrote before, and with a fresh body. The
// caller's request is not touched. Whoever gets the result must send it or
// close its body with [CloseBody].
//
// header is what the caller's request had before the first attempt, if the
// transport below may have changed it since; nil stands for req.Header.
//
// The error, if there is one, wraps that of GetBody, or says that there is none.
func Resend(ctx context.Context, req *http.Request, header http.Header) (*http.Request, error) {
	body := req.Body
	if hasBody(req) {
		if req.GetBody == nil {
			return nil, errNoGetBody
		}
		var err error
		body, err = req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("http: request body cannot be sent again: %w", err)
		}
		if body == nil {
			return nil, errNilGetBody
		}
	}
	// WithContext copies shallowly, and that is the point: GetBody, ContentLength
	// and Cancel stay, and so does the very map of trailers. The caller fills that
	// in while the body is read; the deep copy of Clone would never see it.
	again := req.WithContext(ctx)
	if header == nil {
		header = req.Header
	}
	if again.Header = header.Clone(); again.Header == nil {
		again.Header = http.Header{}
	}
	again.Body = body
	return again, nil
}

// CloseBody closes the request's body, if it has one. A RoundTripper must do so on
// every path, the ones on which nothing is sent included.
func CloseBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // the caller's own; there is nobody to tell
	}
}
