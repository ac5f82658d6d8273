package httpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// A body that cannot fail, or that the kernel can send by itself, must reach net/http as the very value that it was: only
// so does it know its length, and sendfile.
func TestWatchBodyLeavesAlone(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "body"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, body := range map[string]io.Reader{
		"none":                   nil,
		"http.NoBody":            http.NoBody,
		"bytes.Reader":           bytes.NewReader([]byte("x")),
		"bytes.Buffer":           bytes.NewBufferString("x"),
		"strings.Reader":         strings.NewReader("x"),
		"a file":                 file,
		"a file that stays open": io.NopCloser(file),
		"a reader with a Close":  io.NopCloser(strings.NewReader("x")),
	} {
		req, err := http.NewRequest(http.MethodPut, "http://host/", body)
		if err != nil {
			t.Fatal(err)
		}
		before := req.Body
		if again, watch := httpx.WatchBody(req); again != req || watch != nil || again.Body != before {
			t.Errorf("%s: the request is now %p with %T, was %p with %T", name, again, again.Body, req, before)
		}
	}
}

// failing is a body of one's own: anything may come from it.
type failing struct {
	io.Reader
	err    error
	closed int
}

func (b *failing) Read([]byte) (int, error) { return 0, b.err }
func (b *failing) Close() error             { b.closed++; return nil }

// All others are watched, in a copy of the request; who watches a second time, below, shares the watch.
func TestWatchBodyOfOnesOwn(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{
		"a type":                         &failing{},
		"a reader":                       io.NopCloser(&failing{}),
		"a reader with WriteTo":          io.NopCloser(io.MultiReader(strings.NewReader("x"))),
		"a reader that only looks alike": io.NopCloser(struct{ *bytes.Reader }{bytes.NewReader(nil)}),
	} {
		req := request(t, http.MethodPut, "http://host/")
		req.Body, req.ContentLength = body, 7
		again, watch := httpx.WatchBody(req)
		if watch == nil || again == req || again.Body != io.ReadCloser(watch) || again.ContentLength != 7 {
			t.Fatalf("%s: %T is not watched", name, again.Body)
		}
		if req.Body != body {
			t.Errorf("%s: the caller's request has another body now", name)
		}
		if below, shared := httpx.WatchBody(again); below != again || shared != watch {
			t.Errorf("%s: it is watched twice", name)
		}
	}
}

// The watch knows its own error, also wrapped, and no other.
func TestBodyCaused(t *testing.T) {
	errBody, errOther := errors.New("the body's"), errors.New("the network's")
	for _, test := range []struct {
		read error
		err  error
		want bool
	}{
		{errBody, errBody, true},
		{errBody, fmt.Errorf("write: %w", errBody), true},
		{errBody, errOther, false},
		{errBody, nil, false},
		{nil, errBody, false},
		{io.EOF, io.EOF, false}, // the end of the body is no failure; the same word from the network is another matter
	} {
		body := &failing{err: test.read}
		req := request(t, http.MethodPut, "http://host/")
		req.Body = body
		again, watch := httpx.WatchBody(req)
		if n, err := again.Body.Read(nil); n != 0 || err != test.read {
			t.Errorf("%v: read %d, %v", test.read, n, err)
		}
		if got := watch.Caused(test.err); got != test.want {
			t.Errorf("the body failed with %v: caused %v: %v, want %v", test.read, test.err, got, test.want)
		}
		if again.Body.Close(); body.closed != 1 {
			t.Error("Close does not reach the body")
		}
	}
	var none *httpx.Body
	if none.Caused(errBody) {
		t.Error("a body that is not watched has caused nothing")
	}
}
