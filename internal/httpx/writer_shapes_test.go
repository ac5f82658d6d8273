package httpx_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// What a writer can do, apart.
type (
	bare        struct{}
	canFlush    struct{}
	canHijack   struct{}
	canPush     struct{}
	canReadFrom struct{}
	canNotify   struct{}
)

func (bare) Header() http.Header                               { return nil }
func (bare) Write(p []byte) (int, error)                       { return len(p), nil }
func (bare) WriteHeader(int)                                   {}
func (canFlush) Flush()                                        {}
func (canHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (canPush) Push(string, *http.PushOptions) error           { return nil }
func (canReadFrom) ReadFrom(io.Reader) (int64, error)          { return 0, nil }
func (canNotify) CloseNotify() <-chan bool                     { return nil }

// abilities is what handlers ask for with a type assertion.
func abilities(w http.ResponseWriter) (a [5]bool) {
	_, a[0] = w.(http.Flusher)
	_, a[1] = w.(http.Hijacker)
	_, a[2] = w.(http.Pusher)
	_, a[3] = w.(io.ReaderFrom)
	_, a[4] = w.(interface{ CloseNotify() <-chan bool })
	return a
}

func TestOnWriteHeaderKeepsAbilities(t *testing.T) {
	for _, w := range combinations {
		wrapped := httpx.OnWriteHeader(w, func(int, http.Header) {})
		if got, want := abilities(wrapped), abilities(w); got != want {
			t.Errorf("%T can %v, wrapped %v", w, want, got)
		}
	}
	seen := map[[5]bool]bool{}
	for _, w := range combinations {
		seen[abilities(w)] = true
	}
	if len(seen) != 32 {
		t.Errorf("the table has %d of 32 combinations", len(seen))
	}
}

var combinations = []http.ResponseWriter{
	struct{ bare }{},
	struct {
		bare
		canFlush
	}{},
	struct {
		bare
		canHijack
	}{},
	struct {
		bare
		canFlush
		canHijack
	}{},
	struct {
		bare
		canPush
	}{},
	struct {
		bare
		canFlush
		canPush
	}{},
	struct {
		bare
		canHijack
		canPush
	}{},
	struct {
		bare
		canFlush
		canHijack
		canPush
	}{},
	struct {
		bare
		canReadFrom
	}{},
	struct {
		bare
		canFlush
		canReadFrom
	}{},
	struct {
		bare
		canHijack
		canReadFrom
	}{},
	struct {
		bare
		canFlush
		canHijack
		canReadFrom
	}{},
	struct {
		bare
		canPush
		canReadFrom
	}{},
	struct {
		bare
		canFlush
		canPush
		canReadFrom
	}{},
	struct {
		bare
		canHijack
		canPush
		canReadFrom
	}{},
	struct {
		bare
		canFlush
		canHijack
		canPush
		canReadFrom
	}{},
	struct {
		bare
		canNotify
	}{},
	struct {
		bare
		canFlush
		canNotify
	}{},
	struct {
		bare
		canHijack
		canNotify
	}{},
	struct {
		bare
		canFlush
		canHijack
		canNotify
	}{},
	struct {
		bare
		canPush
		canNotify
	}{},
	struct {
		bare
		canFlush
		canPush
		canNotify
	}{},
	struct {
		bare
		canHijack
		canPush
		canNotify
	}{},
	struct {
		bare
		canFlush
		canHijack
		canPush
		canNotify
	}{},
	struct {
		bare
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canFlush
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canHijack
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canFlush
		canHijack
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canPush
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canFlush
		canPush
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canHijack
		canPush
		canReadFrom
		canNotify
	}{},
	struct {
		bare
		canFlush
		canHijack
		canPush
		canReadFrom
		canNotify
	}{},
}
