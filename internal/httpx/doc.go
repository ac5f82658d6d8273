// Package httpx is what the HTTP forms of the policies share: seeing a response
// as an error, reading Retry-After, preparing a request for another attempt,
// getting rid of a response nobody will read, and knowing when a body is done.
//
// It decides nothing about policy. Each function answers one question about one
// request, response or error, and its comment says which reading of RFC 9110 or
// of net/http the answer is. Where a question cannot be answered for certain,
// the answer errs to the side that costs least: a request is called safe to
// repeat only if that is proven, an error final only if net/http says so.
//
// A transport made of these parts works like this:
//
//	resp, err := httpx.RoundTrip(base, req) // never (nil, nil), never both
//	if err == nil && httpx.Retryable(resp.StatusCode) && httpx.Idempotent(req) {
//		httpx.Discard(resp) // bounded; the connection can be used again
//		again, err := httpx.Resend(ctx, req, nil)
//		...
//	}
//	httpx.OnClose(resp, permit) // not before the body is done
//
// The package imports the standard library only, starts no goroutine at import
// and keeps no state, but for what tests may set with DrainFor.
package httpx
