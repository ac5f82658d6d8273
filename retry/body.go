package retry

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/cause"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// buffered returns req with a body that can be made anew, if it has at most most bytes. A longer one is left to
// stream: what was read so far goes before the rest, and there is no second time. The caller's request is not
// modified; its body is closed with the one returned, or on return if there is none, or when ctx ends.
func buffered(ctx context.Context, req *http.Request, most int64) (again *http.Request, err error) {
	if req.ContentLength > most || httpx.IsUpgrade(req) {
		return req, nil // the body of an upgrade is a conversation
	}
	stop := context.AfterFunc(ctx, func() { _ = req.Body.Close() }) // for a Read that blocks
	defer stop()
	defer func() {
		if again == nil { // also when Read panicked
			_ = req.Body.Close()
		}
	}()
	start, err := io.ReadAll(io.LimitReader(req.Body, most+1))
	if ctx.Err() != nil {
		return nil, cause.Of("retry", ctx)
	}
	if err != nil {
		return nil, err
	}
	if int64(len(start)) > most {
		again = req.WithContext(req.Context())
		again.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(start), req.Body), req.Body}
		return again, nil
	}
	if err := req.Body.Close(); err != nil {
		return nil, err
	}
	return kept(req, start), nil
}

// kept returns req with a body that is in memory.
func kept(req *http.Request, body []byte) *http.Request {
	again := req.WithContext(req.Context())
	again.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	again.Body, _ = again.GetBody()
	if again.ContentLength <= 0 && len(req.TransferEncoding) == 0 {
		again.ContentLength = int64(len(body))
	}
	if len(body) == 0 {
		again.Body = http.NoBody
	}
	return again
}
