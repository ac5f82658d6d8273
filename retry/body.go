package retry

import (
	"bytes"
	"io"
	"net/http"
)

// buffered returns req with a body that can be made anew, if it has at most most bytes. A longer one is left to
// stream: what was read so far goes before the rest, and there is no second time. The caller's request is not
// modified; its body is closed with the one returned.
func buffered(req *http.Request, most int64) (*http.Request, error) {
	if req.ContentLength > most {
		return req, nil
	}
	start, err := io.ReadAll(io.LimitReader(req.Body, most+1))
	if err != nil {
		req.Body.Close()
		return nil, err
	}
	again := req.WithContext(req.Context())
	if int64(len(start)) > most {
		again.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(start), req.Body), req.Body}
		return again, nil
	}
	if err := req.Body.Close(); err != nil {
		return nil, err
	}
	again.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(start)), nil }
	again.Body, _ = again.GetBody()
	if again.ContentLength <= 0 && len(req.TransferEncoding) == 0 {
		again.ContentLength = int64(len(start))
	}
	if len(start) == 0 {
		again.Body = http.NoBody
	}
	return again, nil
}
