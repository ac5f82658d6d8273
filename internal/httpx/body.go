package httpx

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
)

// Body is a request's body that remembers how its Read failed. net/http hands out that error as if it were its own, but
// it is the caller's: no repeat mends it, it says nothing about the server, and a dial error among them does not prove
// that nothing was sent.
type Body struct {
	io.ReadCloser
	failed atomic.Pointer[error]
}

// WatchBody returns req with its body watched, and the watch. A body that cannot fail, because it is in memory, or that net/http
// must see as it is, because it is a file that the kernel can send by itself, stays as it is: then the watch is nil. The
// caller's request is not touched.
func WatchBody(req *http.Request) (*http.Request, *Body) {
	if !hasBody(req) || inMemory(req.Body) {
		return req, nil
	}
	if b, ok := req.Body.(*Body); ok {
		return req, b // a policy above watches it already
	}
	b := &Body{ReadCloser: req.Body}
	again := req.WithContext(req.Context())
	again.Body = b
	return again, b
}

func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.failed.Store(&err)
	}
	return n, err
}

// Caused reports whether err is the body's own. A nil Body caused nothing.
func (b *Body) Caused(err error) bool {
	if b == nil || err == nil {
		return false
	}
	failed := b.failed.Load()
	return failed != nil && errors.Is(err, *failed)
}

var nopClosers = [...]reflect.Type{
	reflect.TypeOf(io.NopCloser(struct{ io.Reader }{})),
	reflect.TypeOf(io.NopCloser(struct {
		io.Reader
		io.WriterTo
	}{})),
}

// inMemory reports whether body is one of those that http.NewRequest makes of readers that cannot fail, or a file.
func inMemory(body io.ReadCloser) bool {
	var reader any = body
	if t := reflect.TypeOf(body); t == nopClosers[0] || t == nopClosers[1] {
		reader = reflect.ValueOf(body).Field(0).Interface()
	}
	switch reader.(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader, *os.File:
		return true
	}
	return false
}
