package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// pair is a connection with faults, and its other end.
func pair(t *testing.T, in *chaos.Injector) (faulty, far net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	faulty = chaos.Conn(in, near)
	t.Cleanup(func() {
		faulty.Close()
		far.Close()
	})
	return faulty, far
}

// loopback is a pair over TCP.
func loopback(t *testing.T, in *chaos.Injector) (faulty, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if faulty, err = chaos.Listener(in, l).Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		faulty.Close()
		far.Close()
	})
	return faulty, far
}

// push writes from another goroutine, until the connection is gone.
func push(c net.Conn, text string) { go func() { _, _ = io.WriteString(c, text) }() }

// read reads so many bytes.
func read(c net.Conn, n int) (string, error) {
	p := make([]byte, n)
	m, err := io.ReadFull(c, p)
	return string(p[:m]), err
}

func TestConnOff(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if chaos.Conn(nil, near) != near {
		t.Error("a nil Injector wraps")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if chaos.Listener(nil, l) != l {
		t.Error("a nil Injector wraps a listener")
	}
	in := on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1}, chaos.Fault{Kind: chaos.Truncate, Rate: 1})
	in.Disable()
	c, far := loopback(t, in)
	whole := text(200_000)
	go func() {
		_, _ = io.Copy(c, struct{ io.Reader }{strings.NewReader(whole)}) // by ReadFrom
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	push(far, whole)
	if got, err := io.ReadAll(far); string(got) != whole || err != nil {
		t.Errorf("written: %d bytes, %v", len(got), err)
	}
	if got, err := read(c, len(whole)); got != whole || err != nil {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
	if inner, ok := c.(interface{ NetConn() net.Conn }); !ok || inner.NetConn().(*net.TCPConn) == nil {
		t.Error("no NetConn")
	}
}

// Both directions end after so many bytes, where there would be more.
func TestConnTruncate(t *testing.T) {
	c, far := loopback(t, on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 10}))
	n, err := io.WriteString(c, text(10))
	if n != 10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	n, err = io.WriteString(c, "more")
	if n != 0 || !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := c.Write([]byte("again")); !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("Write again: %v", err)
	}
	if got, err := io.ReadAll(far); string(got) != text(10) || err != nil {
		t.Errorf("%q, %v", got, err)
	}

	c, far = loopback(t, on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 10}))
	push(far, text(11))
	if got, err := io.ReadAll(c); string(got) != text(10) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("Write when the end was read: %v", err)
	}
}

// The other side finds a connection that was reset.
func TestConnReset(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Reset, Rate: 1})
	c, far := loopback(t, in)
	if _, err := io.WriteString(c, "hello"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Write: %v", err)
	}
	within(t, "reset", func() {
		if _, err := io.ReadAll(far); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the other side: %v", err)
		}
	})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read after a Write: %v", err)
	}
	c, far = loopback(t, in)
	push(far, "hello")
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read: %v", err)
	}
	if n := struck(in); n[0] != 2 {
		t.Errorf("struck %v, want each connection once", n)
	}
}

func TestConnCorrupt(t *testing.T) {
	whole := text(2000)
	c, far := pair(t, on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Bytes: 100}))
	sent := []byte(whole)
	go func() { _, _ = c.Write(sent) }()
	got, err := read(far, len(whole))
	if n := changedBits(t, whole, got); n != 20 || err != nil {
		t.Errorf("written: %d bits, %v", n, err)
	}
	if !bytes.Equal(sent, []byte(whole)) {
		t.Error("the caller's buffer is changed")
	}
	push(far, whole)
	if got, err := read(c, len(whole)); changedBits(t, whole, got) != 20 || err != nil {
		t.Errorf("read: %v", err)
	}
}

// What is copied into it is struck as what is written.
func TestConnReadFrom(t *testing.T) {
	c, far := loopback(t, on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Bytes: 100}))
	go func() { _, _ = io.Copy(c, struct{ io.Reader }{strings.NewReader(text(2000))}) }()
	if got, err := read(far, 2000); changedBits(t, text(2000), got) != 20 || err != nil {
		t.Error(err)
	}
}

func TestConnFailure(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, Err: errBoom})
	c, _ := pair(t, in)
	if _, err := c.Write([]byte("x")); err != errBoom {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != errBoom {
		t.Error(err)
	}
}

// What arrives first after something was sent is late, what follows it is not.
func TestConnLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pair(t, on(t, chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Second}}))
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		for turn := range 3 {
			push(far, "ping pong")
			if d := took(func() { _, _ = read(c, 4) }); d != time.Second {
				t.Errorf("turn %d: the first bytes took %v", turn, d)
			}
			if d := took(func() { _, _ = read(c, 5) }); d != 0 {
				t.Errorf("turn %d: the rest took %v", turn, d)
			}
			go func() { _, _ = read(far, 4) }()
			if d := took(func() { _, _ = io.WriteString(c, "ping") }); d != 0 {
				t.Errorf("turn %d: the write took %v", turn, d)
			}
		}
	})
}

// Who reads with a deadline that is earlier finds nothing, and later what has arrived: not a byte is lost.
func TestConnLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pair(t, on(t, chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Minute}}))
		push(far, "hello")
		start := time.Now()
		buffer := make([]byte, 5)
		for i := range 3 {
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, err := c.Read(buffer)
			clear(buffer) // it is the caller's again
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Duration(i+1)*10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		time.AfterFunc(10*time.Second, func() { _ = c.SetDeadline(time.Time{}) }) // while it is read
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if got, err := read(c, 2); got != "he" || err != nil || time.Since(start) != time.Minute {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
		if got, err := read(c, 3); got != "llo" || err != nil || time.Since(start) != time.Minute {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
	})
}

// A black hole takes and gives nothing, until the deadline, Close, Disable or its schedule end it; then nothing is lost.
func TestConnBlackHole(t *testing.T) {
	hole := chaos.Fault{Kind: chaos.BlackHole, Rate: 1}
	ways := map[string]func(t *testing.T, in *chaos.Injector, c net.Conn){
		"deadline": func(_ *testing.T, _ *chaos.Injector, c net.Conn) { _ = c.SetDeadline(time.Now().Add(time.Hour)) },
		"close":    func(_ *testing.T, _ *chaos.Injector, c net.Conn) { time.AfterFunc(time.Hour, func() { c.Close() }) },
		"deadline set later": func(_ *testing.T, _ *chaos.Injector, c net.Conn) {
			time.AfterFunc(time.Hour, func() { _ = c.SetDeadline(time.Now()) })
		},
		"disable":  func(_ *testing.T, in *chaos.Injector, _ net.Conn) { time.AfterFunc(time.Hour, in.Disable) },
		"schedule": func(*testing.T, *chaos.Injector, net.Conn) {},
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := hole
				if name == "schedule" {
					f.Schedule.Until = time.Hour
				}
				in := on(t, f)
				c, far := pair(t, in)
				end(t, in, c)
				want := map[string]error{"deadline": os.ErrDeadlineExceeded, "deadline set later": os.ErrDeadlineExceeded, "close": net.ErrClosed}[name]
				start := time.Now()
				var both sync.WaitGroup
				both.Go(func() {
					if n, err := io.WriteString(c, "hello"); !errors.Is(err, want) || (err == nil) != (n == 5) || time.Since(start) != time.Hour {
						t.Errorf("Write: %d, %v after %v", n, err, time.Since(start))
					}
				})
				both.Go(func() {
					if got, err := read(c, 5); !errors.Is(err, want) || (err == nil) != (got == "world") || time.Since(start) != time.Hour {
						t.Errorf("Read: %q, %v after %v", got, err, time.Since(start))
					}
				})
				push(far, "world")
				go func() {
					if got, err := read(far, 5); want == nil && (got != "hello" || err != nil) {
						t.Errorf("the other side: %q, %v", got, err)
					}
				}()
				time.Sleep(time.Minute)
				if held := in.Snapshot().Held; held != 2 {
					t.Errorf("held %d", held)
				}
				both.Wait()
				if name == "deadline" { // what has arrived is there when it is over
					_ = c.SetDeadline(time.Time{})
					in.Disable()
					if got, err := read(c, 5); got != "world" || err != nil {
						t.Errorf("afterwards: %q, %v", got, err)
					}
				}
				c.Close()
				far.Close()
				synctest.Wait()
				if held := in.Snapshot().Held; held != 0 {
					t.Errorf("still held %d", held)
				}
			})
		})
	}
}

// A Read that found nothing by its deadline leaves nothing behind.
func TestConnBlackHoleEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.BlackHole, Rate: 1})
		c, far := pair(t, in)
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		in.Disable()
		_ = c.SetReadDeadline(time.Time{})
		push(far, "hello")
		if got, err := read(c, 5); got != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A fault that comes and goes holds a connection until it goes, wherever in its time it was met.
func TestConnFlapping(t *testing.T) {
	for _, schedule := range []chaos.Schedule{{Until: time.Hour}, {On: time.Hour, Off: time.Hour}, {From: time.Minute, On: 59 * time.Minute, Off: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			c, far := pair(t, on(t, chaos.Fault{Kind: chaos.BlackHole, Rate: 1, Schedule: schedule}))
			start := time.Now()
			time.Sleep(10 * time.Minute)
			push(far, "hello")
			if got, err := read(c, 5); got != "hello" || err != nil || time.Since(start) != time.Hour {
				t.Errorf("%+v: %q, %v after %v", schedule, got, err, time.Since(start))
			}
			push(far, "again")
			if got, err := read(c, 5); got != "again" || err != nil || time.Since(start) != time.Hour {
				t.Errorf("%+v, when it is over: %q, %v after %v", schedule, got, err, time.Since(start))
			}
		})
	}
}

// A deaf connection heeds neither deadline nor Close.
func TestConnDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pair(t, on(t, chaos.Fault{Kind: chaos.Deaf, Rate: 1, Delay: chaos.Delay{Median: time.Minute}}))
		push(far, "hello")
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		time.AfterFunc(2*time.Second, func() { c.Close() })
		start := time.Now()
		if got, err := read(c, 5); got != "hello" || err != nil || time.Since(start) != time.Minute {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
	})
}

func TestConnSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pair(t, on(t, chaos.Fault{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 100}))
		push(far, text(500))
		start := time.Now()
		if got, err := read(c, 500); got != text(500) || err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%d bytes, %v after %v", len(got), err, time.Since(start))
		}
		go func() { _, _ = read(far, 500) }()
		start = time.Now()
		if n, err := io.WriteString(c, text(500)); n != 500 || err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%d, %v after %v", n, err, time.Since(start))
		}
		_ = c.SetWriteDeadline(time.Now().Add(2*time.Second + time.Millisecond))
		go func() { _, _ = read(far, 500) }()
		if n, err := io.WriteString(c, text(500)); n < 200 || n > 210 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("with a deadline: %d, %v", n, err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
		go func() { _, _ = read(far, 5) }()
		if n, err := c.Write([]byte("hello")); n != 5 || err != nil {
			t.Errorf("all of it was written before the deadline: %d, %v", n, err)
		}
	})
}

// A connection that is there when it is switched on is struck too, a Read that waits included; and is well again afterwards.
func TestConnSwitched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Minute}}}})
		c, far := pair(t, in)
		start := time.Now()
		time.AfterFunc(time.Second, in.Enable)
		time.AfterFunc(2*time.Second, func() { push(far, "hello") })
		if got, err := read(c, 5); got != "hello" || err != nil || time.Since(start) != time.Minute+2*time.Second {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
		in.Disable()
		start = time.Now()
		go func() { _, _ = read(far, 1) }()
		_, _ = c.Write([]byte("x"))
		push(far, "again")
		if got, err := read(c, 5); got != "again" || err != nil || time.Since(start) != 0 {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
	})
}

// Which connections are struck follows from the seed and their order.
func TestConnSeed(t *testing.T) {
	in := chaos.MustNew(chaos.Config{Seed: 5, Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 0.5}}})
	bad := func(order func(i int) int) (out [32]bool) {
		in.Enable()
		defer in.Disable()
		conns := make([]net.Conn, len(out))
		for i := range conns {
			conns[i], _ = pair(t, in)
		}
		for i := range conns { // in which order they are used does not matter
			c := conns[order(i)]
			_ = c.SetDeadline(time.Unix(1, 0))
			_, err := c.Write([]byte("x"))
			out[order(i)] = errors.Is(err, chaos.ErrInjected)
		}
		return out
	}
	first, again := bad(func(i int) int { return i }), bad(func(i int) int { return 31 - i })
	if first != again || !slices.Contains(first[:], true) || !slices.Contains(first[:], false) {
		t.Errorf("\n%v\n%v", first, again)
	}
}

// For whom.
func TestConnWhen(t *testing.T) {
	for _, test := range []struct {
		config chaos.Config
		struck bool
	}{
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1, WhenConn: func(c net.Conn) bool { return c.RemoteAddr().Network() == "pipe" }}}}, true},
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1, WhenConn: func(net.Conn) bool { return false }}}}, false},
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1, When: func(context.Context) bool { return true }}}}, false},
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1, WhenRequest: func(*http.Request) bool { return true }}}}, false},
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}, Secret: "x"}, false},
		{chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Panic, Rate: 1}, {Kind: chaos.Status, Rate: 1}}}, false},
	} {
		in := chaos.MustNew(test.config)
		in.Enable()
		c, _ := pair(t, in)
		_ = c.SetDeadline(time.Unix(1, 0))
		if _, err := c.Write([]byte("x")); errors.Is(err, chaos.ErrInjected) != test.struck {
			t.Errorf("%+v: %v", test.config.Faults[0], err)
		}
		if !test.struck {
			continue
		}
		if _, err := chaos.Do(t.Context(), in, hello); err != nil {
			t.Errorf("WhenConn, and a call: %v", err)
		}
	}
}

// Under real servers: what a network does, with TLS above it for HTTP/2.
func TestListener(t *testing.T) {
	whole := text(50_000)
	eachProtocol(t, func(t *testing.T, h2 bool) {
		for _, test := range []struct {
			fault chaos.Fault
			good  bool
		}{
			{chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Millisecond}}, true},
			{chaos.Fault{Kind: chaos.Slow, BytesPerSecond: 5 << 20}, true},
			{chaos.Fault{Kind: chaos.Truncate, Bytes: 10_000}, false},
			{chaos.Fault{Kind: chaos.Reset, Bytes: 10_000}, false},
			{chaos.Fault{Kind: chaos.Reset}, false},
			{chaos.Fault{Kind: chaos.Failure}, false},
			{chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: time.Millisecond}}, true},
		} {
			test.fault.Rate = 1
			in := on(t, test.fault)
			s := serve(t, h2, page(whole), func(s *httptest.Server) { s.Listener = chaos.Listener(in, s.Listener) })
			within(t, test.fault.Kind.String(), func() {
				for range 2 {
					if _, got, err := get(t, s.Client(), s.URL); test.good != (got == whole && err == nil) {
						t.Errorf("%v: %d bytes, %v", test.fault.Kind, len(got), err)
					}
				}
				in.Disable()
				s.Client().CloseIdleConnections()
				if _, got, err := get(t, s.Client(), s.URL); got != whole || err != nil {
					t.Errorf("%v, switched off: %d bytes, %v", test.fault.Kind, len(got), err)
				}
			})
			if n := struck(in); n[0] == 0 {
				t.Errorf("%v: never", test.fault.Kind)
			}
		}
	})
}

// A black hole at the listener: the client's context ends its call, and the next goes through when it is over.
func TestListenerBlackHole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.BlackHole, Rate: 1}}})
		s := serve(t, h2, page("fine"), func(s *httptest.Server) { s.Listener = chaos.Listener(in, s.Listener) })
		within(t, "black hole", func() {
			if _, got, err := get(t, s.Client(), s.URL); got != "fine" || err != nil {
				t.Errorf("before: %q, %v", got, err)
			}
			in.Enable()
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				awaitHeld(in)
				cancel()
			}()
			if _, got, err := do(s.Client(), request(t, ctx, http.MethodGet, s.URL, nil)); !errors.Is(err, context.Canceled) {
				t.Errorf("in the hole: %q, %v", got, err)
			}
			in.Disable()
			if _, got, err := get(t, s.Client(), s.URL); got != "fine" || err != nil {
				t.Errorf("after: %q, %v", got, err)
			}
		})
	})
}

// Many connections, switched on and off all the while: whatever arrives is what was sent, in order.
func TestConnStorm(t *testing.T) {
	in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{
		{Kind: chaos.Latency, Rate: 0.3, Delay: chaos.Delay{Median: time.Microsecond}},
		{Kind: chaos.BlackHole, Rate: 0.2},
		{Kind: chaos.Slow, Rate: 0.3, BytesPerSecond: 10 << 20},
	}})
	stop := make(chan struct{})
	var switching, all sync.WaitGroup
	switching.Go(func() {
		for {
			in.Enable()
			for range 100 { // so that there is something to be switched off
				runtime.Gosched()
			}
			in.Disable()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	whole := text(20_000)
	for range 100 {
		c, far := pair(t, in)
		push(far, whole)
		push(c, whole)
		for _, end := range []net.Conn{c, far} {
			all.Go(func() {
				if got, err := read(end, len(whole)); got != whole || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
	within(t, "storm", all.Wait)
	close(stop)
	switching.Wait()
}
