package chaos_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// opened counts what is open.
type opened struct{ n atomic.Int64 }

// body is r, open until its first Close.
func (o *opened) body(r io.ReadCloser) io.ReadCloser {
	o.n.Add(1)
	return &counted{ReadCloser: r, close: sync.OnceFunc(func() { o.n.Add(-1) })}
}

type counted struct {
	io.ReadCloser
	close func()
}

func (c *counted) Close() error {
	c.close()
	return c.ReadCloser.Close()
}

// everyFault is each that there is, in several forms, at a rate.
func everyFault(rate float64) []chaos.Fault {
	short := chaos.Delay{Median: time.Millisecond, Sigma: 1, Max: 3 * time.Millisecond}
	faults := []chaos.Fault{
		{Kind: chaos.Latency, Delay: short},
		{Kind: chaos.Latency, Delay: short, After: true},
		{Kind: chaos.Deaf, Delay: short},
		{Kind: chaos.Deaf, Delay: short, After: true},
		{Kind: chaos.BlackHole},
		{Kind: chaos.BlackHole, After: true},
		{Kind: chaos.Panic, Panic: errBoom},
		{Kind: chaos.Panic, Panic: errBoom, After: true},
		{Kind: chaos.Failure, RetryAfter: chaos.AnyRetryAfter},
		{Kind: chaos.Failure, After: true},
		{Kind: chaos.Status, RetryAfter: chaos.AnyRetryAfter, Body: "no"},
		{Kind: chaos.Status, Status: 429, After: true},
		{Kind: chaos.Reset},
		{Kind: chaos.Reset, After: true},
		{Kind: chaos.Reset, Bytes: 1000},
		{Kind: chaos.Truncate},
		{Kind: chaos.Truncate, Bytes: 5000},
		{Kind: chaos.Corrupt},
		{Kind: chaos.Corrupt, Body: "<html>"},
		{Kind: chaos.Slow, BytesPerSecond: 1 << 20},
		{Kind: chaos.Slow, BytesPerSecond: 1},
	}
	for i := range faults {
		faults[i].Rate = rate
	}
	return faults
}

// Whatever strikes, on either side and in between, and whenever the caller goes or closes the body: all bodies are closed, nobody
// is held, and no goroutine stays.
func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	eachProtocol(t, func(t *testing.T, h2 bool) {
		var requests, responses, handlers opened
		client := chaos.MustNew(chaos.Config{Name: "client", Seed: 1, Faults: everyFault(0.04)})
		server := chaos.MustNew(chaos.Config{Name: "server", Seed: 2, Faults: everyFault(0.04)})
		cable := chaos.MustNew(chaos.Config{Name: "cable", Seed: 3, Faults: []chaos.Fault{
			{Kind: chaos.Latency, Rate: 0.1, Delay: chaos.Delay{Median: time.Millisecond}},
			{Kind: chaos.BlackHole, Rate: 0.05},
			{Kind: chaos.Reset, Rate: 0.05, Bytes: 3000},
			{Kind: chaos.Corrupt, Rate: 0.05, Bytes: 5000},
			{Kind: chaos.Truncate, Rate: 0.05, Bytes: 9000},
			{Kind: chaos.Slow, Rate: 0.1, BytesPerSecond: 1 << 20},
		}})
		s := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer handlers.body(io.NopCloser(nil)).(*counted).close()
			chaos.Handler(server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, 1000)
				_, _ = io.WriteString(w, text(20_000))
			})).ServeHTTP(w, r)
		}), func(s *httptest.Server) { s.Listener = chaos.Listener(cable, s.Listener) })
		next := s.Client().Transport
		rt := chaos.Transport(client, roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if resp != nil {
				resp.Body = responses.body(resp.Body)
			}
			return resp, err
		}))
		for _, in := range []*chaos.Injector{client, server, cable} {
			in.Enable()
		}
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 5))
				for range 25 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(20_000))*time.Microsecond)
					req := request(t, ctx, http.MethodPost, s.URL, requests.body(io.NopCloser(strings.NewReader(text(r.IntN(50_000))))))
					send(t, rt, req, int64(r.IntN(25_000)))
					cancel()
				}
			})
		}
		within(t, "calls", all.Wait)
		for _, in := range []*chaos.Injector{client, server, cable} {
			in.Disable()
		}
		s.CloseClientConnections()
		within(t, "what is left", func() {
			for requests.n.Load()+responses.n.Load()+handlers.n.Load() != 0 || client.Snapshot().Held+server.Snapshot().Held+cable.Snapshot().Held != 0 {
				runtime.Gosched()
			}
		})
		for _, in := range []*chaos.Injector{client, server, cable} {
			if n := struck(in); slices.Max(n) == 0 {
				t.Errorf("%s never struck", in)
			}
		}
	})
	within(t, "goroutines", func() {
		for runtime.NumGoroutine() > before+1 { // this one
			runtime.Gosched()
		}
	})
}

// send makes a request, and reads so much of what comes.
func send(t *testing.T, rt http.RoundTripper, req *http.Request, most int64) {
	defer func() {
		if p := recover(); p != nil && p != any(errBoom) {
			t.Errorf("panic: %v", p)
		}
	}()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, err = io.CopyN(io.Discard, resp.Body, most)
	if errors.Is(err, errBoom) {
		t.Error(err)
	}
}
