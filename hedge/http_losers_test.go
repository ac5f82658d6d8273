package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
)

// Losers that answer all the same, deaf to their context, and in any order: each of their bodies is closed, once.
func TestTransportLateSuccesses(t *testing.T) {
	const attempts = 4
	for winner := 1; winner <= attempts; winner++ {
		synctest.Test(t, func(t *testing.T) {
			var closed [attempts + 1]int
			var mu sync.Mutex
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				n := hedge.AttemptFrom(r.Context())
				if time.Sleep(time.Minute); n != winner {
					time.Sleep(time.Duration(n) * time.Minute)
				}
				body := closing{strings.NewReader("text"), func() {
					mu.Lock()
					defer mu.Unlock()
					closed[n]++
				}}
				return &http.Response{StatusCode: 200, ProtoMajor: 1, Body: body, Request: r}, nil
			})
			r := request(t, "GET", "http://host/", nil)
			resp, err := hedge.Transport(hedge.MustNew(free(-1, attempts-1)), base).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			for n, times := range closed {
				if want := map[bool]int{false: 1}[n == 0 || n == winner]; times != want {
					t.Errorf("attempt %d won: the body of %d was closed %d times", winner, n, times)
				}
			}
			if got := text(t, resp, err); got != "200 text" || closed[winner] != 1 {
				t.Errorf("got %q, closed %d times", got, closed[winner])
			}
		})
	}
}

type closing struct {
	io.Reader
	close func()
}

func (c closing) Close() error { c.close(); return nil }

// A panic reaches the caller of http.Client.Do, who would have met it without a hedge, from whichever attempt; and
// http.ErrAbortHandler as what it is.
func TestTransportPanic(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{0: hangs})
		for _, number := range []int{1, 2} {
			for _, value := range []any{"boom", http.ErrAbortHandler} {
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					if hedge.AttemptFrom(r.Context()) == number {
						panic(value)
					}
					return s.wire.RoundTrip(r)
				})
				client := &http.Client{Transport: hedge.Transport(hedge.MustNew(soon), base)}
				got := recovered(func() { client.Get(s.URL) })
				if p, ok := got.(*hedge.PanicError); ok && value == "boom" && p.Value == value && strings.Contains(string(p.Stack), "TestTransportPanic") {
					continue
				}
				if got != value || value == "boom" {
					t.Errorf("attempt %d panics with %v: the caller with %v", number, value, got)
				}
			}
		}
	})
}

// Losers count against nobody: not in a breaker below, nor are their places in a bulkhead lost.
func TestTransportLosersCountAgainstNobody(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(duel(says(200, "second")))
		hosts := breaker.MustNewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{ConsecutiveFailures: 1}})
		slots := bulkhead.MustNew(bulkhead.Config{Limit: 4})
		const calls = 100
		client := &http.Client{Transport: hedge.Transport(hedge.MustNew(free(ms/10, 1)), breaker.Transport(hosts, bulkhead.Transport(slots, s.wire)))}
		for i := range calls {
			resp, err := client.Get(s.URL)
			if got := text(t, resp, err); got != "200 second" {
				t.Fatalf("got %q", got)
			}
			s.wire.wait(1, i+1)
			for slots.Snapshot().InUse > 0 { // the loser is on its way up
				runtime.Gosched()
			}
		}
		s.wire.settled(t, 2*calls)
		b := hosts.Get(strings.TrimPrefix(strings.TrimPrefix(s.URL, "http://"), "https://"))
		for b.Snapshot().Ignored < calls {
			runtime.Gosched()
		}
		if got := b.Snapshot(); got.Successes != calls || got.Failures != 0 || got.Ignored != calls {
			t.Errorf("the breaker: %+v", got)
		}
		if got := slots.Snapshot(); got.Successes != calls || got.Failures != 0 || got.Ignored != calls {
			t.Errorf("the bulkhead: %+v", got)
		}
	})
}

// frames counts what goes over HTTP/2 connections without TLS: the streams that the client resets, and the
// connections that the server gives up.
type frames struct {
	net.Listener
	accepted, resets, goaways atomic.Int64
}

func (f *frames) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f.accepted.Add(1)
	return &framedConn{
		Conn: conn,
		in:   frameCounter{skip: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), kind: 0x3, n: &f.resets},
		out:  frameCounter{kind: 0x7, n: &f.goaways},
	}, nil
}

type framedConn struct {
	net.Conn
	in, out frameCounter
}

func (c *framedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.see(p[:n])
	return n, err
}

func (c *framedConn) Write(p []byte) (int, error) {
	c.out.see(p)
	return c.Conn.Write(p)
}

// frameCounter counts the frames of one kind in one direction: 9 bytes of header, of which three are the length and one
// the kind (RFC 9113, 4.1).
type frameCounter struct {
	skip   int
	header []byte
	kind   byte
	n      *atomic.Int64
}

func (c *frameCounter) see(p []byte) {
	for len(p) > 0 {
		if skip := min(c.skip, len(p)); skip > 0 {
			c.skip -= skip
			p = p[skip:]
			continue
		}
		c.header = append(c.header, p[0])
		if p = p[1:]; len(c.header) == 9 {
			c.skip = int(c.header[0])<<16 | int(c.header[1])<<8 | int(c.header[2])
			if c.header[3] == c.kind {
				c.n.Add(1)
			}
			c.header = c.header[:0]
		}
	}
}

// A server that sees many streams reset takes the client for an attacker (CVE-2023-44487). A thousand calls of which
// each is hedged reset a thousand; as few as MaxExtraLoad allows, if there is one. The connection stays, and in the
// end no goroutine is left.
func TestTransportResets(t *testing.T) {
	const calls = 1000
	for name, test := range map[string]struct {
		share float64
		most  int64
	}{"every call": {-1, calls}, "a tenth": {0.1, calls/10 + 10}} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := &site{pages: pages{
				1: func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						hangs(w, r)
					}
				},
				2: says(200, "second"),
			}}
			s.Server = httptest.NewUnstartedServer(s)
			counted := &frames{Listener: s.Listener}
			s.Listener = counted
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			defer s.Close()
			base := &http.Transport{Protocols: s.Config.Protocols}
			s.wire = newWire(base)
			p := hedge.MustNew(hedge.Config{Delay: ms / 10, MaxExtraLoad: test.share})
			client := &http.Client{Transport: hedge.Transport(p, s.wire)}
			hung := 0
			for i := range calls {
				path := ""
				if test.share < 0 || i%20 == 0 {
					path = "/slow"
				}
				ctx, cancel := context.WithCancel(t.Context())
				if test.share > 0 && path != "" { // one that has no hedge is given up
					time.AfterFunc(50*ms, cancel)
				}
				resp, err := client.Do(request(t, "GET", s.URL+path, nil).WithContext(ctx))
				if err == nil {
					text(t, resp, err)
				} else if hung++; test.share < 0 {
					t.Fatal(err)
				}
				cancel()
			}
			goaways := counted.goaways.Load()
			client.CloseIdleConnections()
			s.Close()
			for runtime.NumGoroutine() > before {
				runtime.Gosched()
			}
			if n := counted.resets.Load(); n > test.most+int64(hung) || n == 0 {
				t.Errorf("%d streams were reset, %d calls given up", n, hung)
			}
			if n := p.Snapshot().Hedges; test.share > 0 && n > uint64(test.most) {
				t.Errorf("%d hedges", n)
			}
			if conns := counted.accepted.Load(); goaways != 0 || conns > 2 { // two, if the first two attempts were at once
				t.Errorf("the server sent GOAWAY %d times, there were %d connections", goaways, conns)
			}
		})
	}
}

// Calls without number under one parent that can be cancelled, which is how a server's workers call, leave nothing behind
// with it once their bodies are closed.
func TestTransportMillionCallsLeaveNothing(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	// As net/http does: a context of its own that ends with the body.
	answer := func(r *http.Request, status int) (*http.Response, error) {
		ctx, end := context.WithCancel(r.Context())
		body := closing{strings.NewReader("text"), end}
		_ = ctx.Done()
		return &http.Response{StatusCode: status, ProtoMajor: 1, Body: body, ContentLength: 4, Request: r}, nil
	}
	for name, test := range map[string]struct {
		config hedge.Config
		calls  int
		base   roundTripper
	}{
		"quiet": {free(time.Hour, 1), fewer(1_000_000, 30_000), func(r *http.Request) (*http.Response, error) { return answer(r, 200) }},
		"after a failure": {free(time.Hour, 1), fewer(50_000, 10_000), func(r *http.Request) (*http.Response, error) {
			return answer(r, map[bool]int{true: 503, false: 200}[hedge.AttemptFrom(r.Context()) == 1])
		}},
		"all fail": {free(time.Hour, 1), fewer(50_000, 10_000), func(r *http.Request) (*http.Response, error) { return answer(r, 503) }},
		"a loser hangs": {free(-1, 1), fewer(50_000, 10_000), func(r *http.Request) (*http.Response, error) {
			if hedge.AttemptFrom(r.Context()) == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(r, 200)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rt := hedge.Transport(hedge.MustNew(test.config), test.base)
			run := func(calls int) {
				for i := range calls {
					letEnd(i)
					r, _ := http.NewRequestWithContext(parent, "GET", "http://host/", nil)
					resp, err := rt.RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
			run(test.calls / 100) // what is kept for ever is there after these
			heap, goroutines := heapInUse(), runtime.NumGoroutine()
			run(test.calls)
			most := heap + 1<<20 + uint64(test.calls)*4 // the least that one call can leave is a word
			for range 50 {
				if heapInUse() < most && runtime.NumGoroutine() <= goroutines {
					return
				}
				runtime.Gosched()
			}
			t.Errorf("%d calls: the heap grew from %d to %d bytes, goroutines from %d to %d",
				test.calls, heap, heapInUse(), goroutines, runtime.NumGoroutine())
			runtime.KeepAlive(parent)
		})
	}
}

// The delay is learned for each host and method by itself, under one bound, for a thousand of them at the most; the
// least used is then forgotten.
func TestTransportHostsLearn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: -1})
		took := map[string]time.Duration{"GET fast": 10 * ms, "HEAD fast": 50 * ms, "GET slow": 200 * ms, " PLAIN:80": 30 * ms}
		hang := false
		var delay time.Duration
		var began time.Time
		rt := hedge.Transport(p, roundTripper(func(r *http.Request) (*http.Response, error) {
			if hedge.AttemptFrom(r.Context()) > 1 {
				delay = time.Since(began)
				return nil, context.Canceled
			}
			if hang {
				<-r.Context().Done()
				return nil, context.Canceled
			}
			time.Sleep(took[r.Method+" "+r.URL.Host])
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}))
		send := func(method, host string) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, method, "http://"+host+"/", nil)
			r.Method = method
			began = time.Now()
			_, err := rt.RoundTrip(r)
			return err
		}
		delayOf := func(method, host string) time.Duration {
			hang = true
			defer func() { hang = false }()
			delay = 0
			if err := send(method, host); err == nil {
				t.Error("it did not hang")
			}
			return delay
		}
		learn := func() {
			for range 60 {
				send("GET", "fast")
				send("", "PLAIN:80") // that is a GET
				send("HEAD", "fast")
				send("GET", "slow")
			}
		}
		learn()
		for of, want := range map[string]time.Duration{"GET fast": 10 * ms, "HEAD fast": 50 * ms, "GET slow": 200 * ms, "GET plain": 30 * ms, "GET unknown": 100 * ms} {
			method, host, _ := strings.Cut(of, " ")
			if got := delayOf(method, host); !near(got, want) {
				t.Errorf("%s: the delay is %v, want about %v", of, got, want)
			}
		}
		learn()
		for i := range 1000 {
			send("GET", fmt.Sprint("host", i))
		}
		if got := delayOf("GET", "slow"); got != 100*ms {
			t.Errorf("a thousand hosts later the delay is %v: it was not forgotten", got)
		}
	})
}

// A caller who goes while attempts are under way has them all cancelled and its own error, and each body closed.
func TestTransportCallerGoes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		begun := make(chan struct{}, 2)
		s := serve(pages{0: func(w http.ResponseWriter, r *http.Request) { begun <- struct{}{}; hangs(w, r) }})
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-begun
			<-begun
			cancel(errCaller)
		}()
		a := newAccounts()
		r := request(t, "PUT", s.URL, a.body("hello"), "Idempotency-Key", "7").WithContext(ctx)
		r.GetBody = func() (io.ReadCloser, error) { return a.body("hello"), nil }
		if resp, err := s.over(soon).RoundTrip(r); resp != nil || !errors.Is(err, errCaller) {
			t.Errorf("%v, %v", resp, err)
		}
		s.wire.settled(t, 2)
		if n := a.settled(); n != 2 {
			t.Errorf("%d bodies", n)
		}
	})
}
