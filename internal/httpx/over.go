package httpx

import "net/http"

// Over is what each transport of ours is, apart from what it does: over another, and known for that. Embed it.
type Over struct{ Below http.RoundTripper }

// OverNext is Over the transport that base stands for: see [Next].
func OverNext(base http.RoundTripper) Over { return Over{Next(base)} }

// Unwrap returns the transport underneath, for tools that look for one.
func (o Over) Unwrap() http.RoundTripper { return o.Below }

// Faithful says whether requests are left as they are, all the way down: see the function of that name.
func (o Over) Faithful() bool { return Faithful(o.Below) }

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (o Over) CloseIdleConnections() { CloseIdleConnections(o.Below) }
