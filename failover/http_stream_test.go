package failover_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// inFlight is how many are under way at a target.
func inFlight(g *failover.Group[*url.URL], target int) int {
	return g.Snapshot().Targets[target].InFlight
}

// A response streams as it comes, with its trailers, and counts as under way until its body is closed.
func TestStreams(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		more := make(chan struct{})
		b := serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Sum")
			fmt.Fprint(w, "one ")
			http.NewResponseController(w).Flush()
			<-more
			fmt.Fprint(w, "two")
			w.Header().Set("Sum", "2")
		})
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Hour}, refusing, b.URL)
		resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "one " {
			t.Error(string(first), err)
		}
		if s := g.Snapshot(); inFlight(g, 0) != 0 || inFlight(g, 1) != 1 || s.Successes != 1 {
			t.Errorf("while the body is read: %+v", s)
		}
		close(more)
		rest, err := io.ReadAll(resp.Body)
		if string(rest) != "two" || err != nil || resp.Trailer.Get("Sum") != "2" {
			t.Error(string(rest), err, resp.Trailer)
		}
		resp.Body.Close()
		resp.Body.Close()
		settled(t, g.Snapshot())
	})
}

// A body without end, closed early.
func TestClosedEarly(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		gone := make(chan struct{})
		b := serve(func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		})
		g := group(t, failover.Config[*url.URL]{}, b.URL)
		resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if inFlight(g, 0) != 1 {
			t.Error("not under way")
		}
		resp.Body.Close()
		settled(t, g.Snapshot())
		<-gone
	})
}

// AttemptTimeout runs on until the body is closed: one that comes too slowly is cut off. The caller's trailing read says so.
func TestSlowBodyIsCut(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		b := serve(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "one ")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Second}, b.URL)
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			over := make(chan struct{})
			resp, err := b.Client().Transport.RoundTrip(r.WithContext(unhurried{r.Context(), over}))
			context.AfterFunc(r.Context(), func() { close(over) }) // the header is there, however long that took
			return resp, err
		})
		resp, err := failover.Transport(g, base).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if string(got) != "one " || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, %v", got, err)
		}
		resp.Body.Close()
		settled(t, g.Snapshot())
	})
}

// The attempt's context, and with it the timer of its limit, lives as long as the body and no longer.
func TestLimitEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Hour}, "http://a")
		defer g.Close()
		var attempt context.Context
		rt := failover.Transport(g, roundTripper(func(r *http.Request) (*http.Response, error) {
			attempt = r.Context()
			attempt.Done() // as net/http asks
			return &http.Response{StatusCode: 200, Request: r, Body: io.NopCloser(strings.NewReader("x"))}, nil
		}))
		resp, err := rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if attempt.Err() != nil || inFlight(g, 0) != 1 {
			t.Errorf("%v, %d under way, before the body is closed", attempt.Err(), inFlight(g, 0))
		}
		resp.Body.Close()
		if attempt.Err() != context.Canceled || inFlight(g, 0) != 0 {
			t.Errorf("%v, %d under way, after it", attempt.Err(), inFlight(g, 0))
		}
	})
}

// A target that hangs has its time, and no more.
func TestAttemptTimeoutMovesOn(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		hangs, good := serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), serve(says(200, "yes"))
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: 500 * time.Millisecond}, hangs.URL, good.URL)
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == good.Listener.Addr().String() { // the limit is for the other one
				r = r.WithContext(unhurried{r.Context(), nil})
			}
			return good.Client().Transport.RoundTrip(r)
		})
		client := &http.Client{Transport: failover.Transport(g, base), Timeout: time.Minute}
		resp, err := client.Get("http://users/")
		if got := text(t, resp, err); got != "200 yes" {
			t.Error(got)
		}
		s := g.Snapshot()
		settled(t, s)
		if s.Targets[0].LastError != "timeout" || s.Targets[0].Failures != 1 {
			t.Errorf("%+v", s.Targets[0])
		}
	})
}

// http.Client.Timeout ends the call, whichever of its two ways comes first, and no other target is tried after it.
func TestClientTimeout(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		hangs, good := serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), serve(says(200, "yes"))
		for range 5 {
			g := group(t, failover.Config[*url.URL]{}, hangs.URL, good.URL)
			client := &http.Client{Transport: failover.Transport(g, good.Client().Transport), Timeout: 100 * time.Millisecond}
			_, err := client.Get("http://users/")
			if e, is := err.(*url.Error); !is || !e.Timeout() {
				t.Errorf("%v is no timeout", err)
			}
			s := g.Snapshot()
			settled(t, s)
			if s.Calls != 1 || s.Failovers != 0 {
				t.Errorf("%+v", s)
			}
		}
		if good.requests.Load() != 0 {
			t.Error("another target was tried")
		}
	})
}

// A request whose Cancel is closed is one that its caller has left.
func TestRequestCancel(t *testing.T) {
	for _, deadline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if deadline { // by http.Client.Timeout, whose timer has won
				limited, end := context.WithTimeout(ctx, time.Second+time.Millisecond)
				defer end()
				ctx = limited
			}
			cancel := make(chan struct{})
			time.AfterFunc(time.Second, func() { close(cancel) })
			own := errors.New("net/http: request canceled")
			g := group(t, failover.Config[*url.URL]{}, "http://a", "http://b")
			rt := failover.Transport(g, roundTripper(func(r *http.Request) (*http.Response, error) {
				//lint:ignore SA1019 http.Client.Timeout still uses it
				<-r.Cancel
				return nil, own
			}))
			req := request(t, http.MethodGet, "http://users/", nil).WithContext(ctx)
			//lint:ignore SA1019 see above
			req.Cancel = cancel
			_, err := rt.RoundTrip(req)
			s := g.Snapshot()
			settled(t, s)
			if err != own || s.Failovers != 0 {
				t.Errorf("%v, %+v", err, s)
			}
			if wrong := s.Targets[0].Failures == 1; wrong != deadline || (s.Ignored == 1) == deadline {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A connection that switches protocols is sent once, and is nobody's attempt from then on.
func TestUpgrade(t *testing.T) {
	b := newBackend(t, false, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, "you said ", line)
		rw.Flush()
	})
	g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Minute}, b.URL)
	var attempt context.Context
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		attempt = r.Context()
		return b.Client().Transport.RoundTrip(r)
	})
	resp, err := failover.Transport(g, base).RoundTrip(request(t, http.MethodGet, "http://users/", nil, "Connection", "Upgrade", "Upgrade", "echo"))
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	settled(t, g.Snapshot())
	if limit, is := attempt.Deadline(); is {
		t.Errorf("it is to end at %v", limit)
	}
	conn := resp.Body.(io.ReadWriter)
	fmt.Fprint(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "you said hello\n" {
		t.Error(line, err)
	}

	bad, good := newBackend(t, false, says(503, "no")), newBackend(t, false, says(200, ""))
	for _, upgrade := range []*http.Request{
		request(t, http.MethodGet, "http://users/", nil, "Connection", "keep-alive, upgrade", "Upgrade", "echo"),
		request(t, http.MethodConnect, "http://users/", nil, "Idempotency-Key", "k"),
	} {
		g = group(t, failover.Config[*url.URL]{}, bad.URL, good.URL)
		resp, err = failover.Transport(g, bad.Client().Transport).RoundTrip(upgrade)
		if got := text(t, resp, err); !strings.HasPrefix(got, "503") || good.requests.Load() != 0 {
			t.Errorf("%s; %d requests to another", got, good.requests.Load())
		}
	}
}

// CONNECT goes to the target, whose base path is no part of it.
func TestConnect(t *testing.T) {
	b := newBackend(t, false, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 200 OK\r\n\r\n", r.Method, " ", r.RequestURI, "\n")
		rw.Flush()
	})
	for _, keep := range []bool{false, true} {
		g := group(t, failover.Config[*url.URL]{KeepHost: keep, AttemptTimeout: time.Minute}, b.URL+"/base")
		resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(request(t, http.MethodConnect, "http://users:443", nil))
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		want := map[bool]string{false: b.Listener.Addr().String(), true: "users:443"}[keep]
		if line != "CONNECT "+want+"\n" {
			t.Errorf("%q, %v, want %s", line, err, want)
		}
		resp.Body.Close()
		settled(t, g.Snapshot())
	}
}

func TestOptionsOfAll(t *testing.T) {
	b := newBackend(t, false, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) })
	b.Config.DisableGeneralOptionsHandler = true
	g := group(t, failover.Config[*url.URL]{}, b.URL+"/base")
	req := request(t, http.MethodOptions, "http://users", nil)
	req.URL.Path = "*"
	resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(req)
	if got := text(t, resp, err); got != "200 *" {
		t.Error(got)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// A body that cannot be read, or not be made anew, is the caller's fault: that is final, and says nothing about a target.
func TestBodyFails(t *testing.T) {
	own := errors.New("own")
	dial := &net.OpError{Op: "dial", Err: own} // looks as if nothing had been sent
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			for _, err := range []error{own, dial} {
				a, b := serve(says(200, "a")), serve(says(200, "b"))
				g := group(t, failover.Config[*url.URL]{}, a.URL, b.URL)
				var bodies accounts
				req := bodies.request(t, method, "http://users/", "", true)
				req.Body, req.ContentLength = bodies.body(failingReader{err}), 10
				_, got := failover.Transport(g, a.Client().Transport).RoundTrip(req)
				s := g.Snapshot()
				settled(t, s)
				if !errors.Is(got, err) || b.requests.Load() != 0 || s.Targets[0].Failures != 0 || s.Failures != 1 {
					t.Errorf("%s: %v, %+v", method, got, s)
				}
			}
		}
		bad, good := serve(says(503, "no")), serve(says(200, "yes"))
		g := group(t, failover.Config[*url.URL]{}, bad.URL, good.URL, good.URL+"/again")
		var bodies accounts
		req := bodies.request(t, http.MethodPut, "http://users/", "x", true)
		asked := 0
		req.GetBody = func() (io.ReadCloser, error) { asked++; return nil, own }
		_, err := failover.Transport(g, bad.Client().Transport).RoundTrip(req)
		s := g.Snapshot()
		settled(t, s)
		if !errors.Is(err, own) || asked != 1 || s.Targets[1].Failures != 0 || s.Targets[0].Failures != 1 || good.requests.Load() != 0 {
			t.Errorf("%v after %d times, %+v", err, asked, s)
		}
		if bodies.open.Load() > 1 { // the one in req, which this test replaced, is not the Transport's
			t.Errorf("%d bodies are open", bodies.left())
		}
	})
}

// Whatever panics, the caller hears it, the body is closed, and nothing is under way any more.
func TestTransportPanics(t *testing.T) {
	down := roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return nil, errDown
	})
	boom := func() { panic(http.ErrAbortHandler) }
	for name, row := range map[string]struct {
		config failover.Config[*url.URL]
		base   roundTripper
		before int // calls that go through first
	}{
		"base": {base: func(r *http.Request) (*http.Response, error) {
			defer r.Body.Close()
			boom()
			return nil, nil
		}},
		"RequestKey":    {config: failover.Config[*url.URL]{RequestKey: func(*http.Request) string { boom(); return "" }}},
		"RepeatRequest": {config: failover.Config[*url.URL]{RepeatRequest: func(*http.Request) bool { boom(); return true }}},
		"FailoverIf":    {config: failover.Config[*url.URL]{FailoverIf: func(error) bool { boom(); return true }}},
		"CountIf":       {config: failover.Config[*url.URL]{CountIf: func(error) bool { boom(); return true }}},
		"Budget":        {config: failover.Config[*url.URL]{Budget: panicky{}}},
		"OnChange":      {config: failover.Config[*url.URL]{ConsecutiveFailures: 1, OnChange: func(failover.Event) { boom() }}},
		"Resolve": {config: failover.Config[*url.URL]{Resolve: func(context.Context) ([]failover.Target[*url.URL], error) {
			boom()
			return nil, nil
		}}},
		"OnChange, before there is a target": {
			config: failover.Config[*url.URL]{ConsecutiveFailures: 1, EjectFor: time.Second, OnChange: func(e failover.Event) {
				if e.To == failover.Probing {
					boom()
				}
			}},
			before: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := row.config
				if c.Resolve == nil {
					c.Targets = at(t, "http://a", "http://b")
				}
				g := failover.MustNew(c)
				base := row.base
				if base == nil {
					base = down
				}
				rt := failover.Transport(g, base)
				var bodies accounts
				for i := range row.before + 1 {
					if i > 0 {
						time.Sleep(time.Second)
					}
					value := recovered(func() { rt.RoundTrip(bodies.request(t, http.MethodPut, "http://users/", "x", true)) })
					if i == row.before && value != http.ErrAbortHandler {
						t.Errorf("%v reaches the caller", value)
					}
				}
				if bodies.left() != 0 {
					t.Errorf("%d of %d bodies are open", bodies.left(), bodies.opened.Load())
				}
				settled(t, g.Snapshot())
			})
		})
	}
}

func recovered(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

type panicky struct{}

func (panicky) Withdraw() bool { panic(http.ErrAbortHandler) }
func (panicky) Deposit()       { panic(http.ErrAbortHandler) }

// A response in hand is closed when what is to judge it panics, and when the goroutine ends.
func TestResponseInHand(t *testing.T) {
	for name, judge := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var bodies accounts
			g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Hour, FailoverIf: func(error) bool { judge(); return true }}, "http://a")
			rt := failover.Transport(g, roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 503, Body: bodies.body(strings.NewReader("x"))}, nil
			}))
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { recover() }()
				rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil))
			}()
			<-done
			if bodies.opened.Load() != 1 || bodies.left() != 0 {
				t.Errorf("%d of %d are open", bodies.left(), bodies.opened.Load())
			}
			settled(t, g.Snapshot())
		})
	}
}

// Bodies are closed where nothing was sent: the context is done, or there is no target.
func TestNothingSent(t *testing.T) {
	gone, cancel := context.WithCancelCause(t.Context())
	own := errors.New("own")
	cancel(own)
	var bodies accounts
	g := group(t, failover.Config[*url.URL]{}, "http://a")
	base := roundTripper(func(*http.Request) (*http.Response, error) { panic("sent") })
	_, err := failover.Transport(g, base).RoundTrip(bodies.request(t, http.MethodPut, "http://users/", "x", true).WithContext(gone))
	if !errors.Is(err, own) || !errors.Is(err, context.Canceled) || g.Snapshot().Ignored != 1 {
		t.Error(err)
	}
	g = failover.MustNew(failover.Config[*url.URL]{Resolve: func(context.Context) ([]failover.Target[*url.URL], error) { return nil, own }})
	if _, err = failover.Transport(g, base).RoundTrip(bodies.request(t, http.MethodPut, "http://users/", "x", true)); !errors.Is(err, own) {
		t.Error(err)
	}
	if bodies.opened.Load() != 2 || bodies.left() != 0 {
		t.Errorf("%d of %d are open", bodies.left(), bodies.opened.Load())
	}
}

// A caller that goes while a failed response is in hand gets no response, and leaves none open.
func TestCallerGoesWithResponseInHand(t *testing.T) {
	for _, during := range []string{"attempt", "drain"} {
		t.Run(during, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var bodies accounts
			g := group(t, failover.Config[*url.URL]{AttemptTimeout: time.Hour}, "http://a", "http://b")
			rt := failover.Transport(g, roundTripper(func(r *http.Request) (*http.Response, error) {
				if during == "attempt" {
					cancel()
				}
				return &http.Response{StatusCode: 503, Request: r, ProtoMajor: 1, Body: bodies.body(readerFunc(func([]byte) (int, error) {
					cancel()
					return 0, io.EOF
				}))}, nil
			}))
			resp, err := rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil).WithContext(ctx))
			if resp != nil || !errors.Is(err, context.Canceled) {
				t.Error(resp, err)
			}
			var status *failover.StatusError
			if !errors.As(err, &status) || status.StatusCode != 503 {
				t.Errorf("%v hides the last real error", err)
			}
			if bodies.opened.Load() != 1 || bodies.left() != 0 {
				t.Errorf("%d of %d are open", bodies.left(), bodies.opened.Load())
			}
			if s := g.Snapshot(); s.Ignored != 1 || s.Targets[1].Failures != 0 {
				t.Errorf("%+v", s)
			}
			settled(t, g.Snapshot())
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A long stream is no attempt under way: a target that only streams is not silent.
func TestStreamsRaiseNoSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := make(map[string]int)
		g := group(t, failover.Config[*url.URL]{Suspicion: 3, SlowFactor: -1}, "http://a", "http://b")
		rt := failover.Transport(g, roundTripper(func(r *http.Request) (*http.Response, error) {
			hosts[r.URL.Host]++
			time.Sleep(time.Millisecond)
			return &http.Response{StatusCode: 200, Request: r, Body: io.NopCloser(strings.NewReader("x"))}, nil
		}))
		call := func() *http.Response {
			resp, err := rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil))
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		for range 20 {
			call().Body.Close()
		}
		stream := call()
		time.Sleep(time.Hour)
		call().Body.Close()
		stream.Body.Close()
		if hosts["b"] != 0 {
			t.Errorf("%v: it was passed over", hosts)
		}
		settled(t, g.Snapshot())
	})
}
