package chaos_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/chaos"
)

var sink int

func work(context.Context) (int, error) { return sink, nil }

// What it costs while it is off, beside the bare call; and while it is on and strikes nobody.
func BenchmarkDo(b *testing.B) {
	rare := chaos.Fault{Kind: chaos.Failure, Rate: 1e-300}
	off := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{rare}})
	ctx := context.Background()
	fn := work // through a variable, as a policy calls it
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = fn(ctx)
		}
	})
	for name, in := range map[string]*chaos.Injector{"nil": nil, "off": off, "on": on(b, rare, rare, rare)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = chaos.Do(ctx, in, fn)
			}
		})
	}
	b.Run("off/Run", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = off.Run(ctx, func(context.Context) error { return nil })
		}
	})
}

func BenchmarkConnOff(b *testing.B) {
	off := chaos.MustNew(chaos.Config{})
	for name, c := range map[string]net.Conn{"bare": nothing{}, "off": chaos.Conn(off, nothing{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := make([]byte, 100)
			for b.Loop() {
				_, _ = c.Write(p)
				_, _ = c.Read(p)
			}
		})
	}
}

// nothing is a connection that costs nothing.
type nothing struct{ net.Conn }

func (nothing) Read(p []byte) (int, error)  { return len(p), nil }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }

// No allocation while it is off, in any door.
func TestOffAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	off := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}})
	ctx := t.Context()
	wrapped := chaos.Wrap(off, func(context.Context, int) (int, error) { return 1, nil })
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	rt := chaos.Transport(off, roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil }))
	r := request(t, ctx, http.MethodPost, "http://host/", io.NopCloser(strings.NewReader("x")))
	h := chaos.Handler(off, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c, p := chaos.Conn(off, nothing{}), make([]byte, 10)
	for name, f := range map[string]func(){
		"Do":        func() { _, _ = chaos.Do(ctx, off, work) },
		"Wrap":      func() { _, _ = wrapped(ctx, 1) },
		"Run":       func() { _ = off.Run(ctx, func(context.Context) error { return nil }) },
		"Transport": func() { _, _ = rt.RoundTrip(r) },
		"Handler":   func() { h.ServeHTTP(nil, r) },
		"Conn":      func() { _, _ = c.Write(p); _, _ = c.Read(p) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s makes %v allocations, want none", name, n)
		}
	}
}
