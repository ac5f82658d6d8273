package failover_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

// OnChange that ended the goroutine of a target's probes ended these for ever.
func TestProbesOutliveOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), ProbeInterval: time.Second,
			Probe: func(_ context.Context, i int) error {
				if i == 0 && !well.Load() {
					return errDown
				}
				return nil
			},
			OnChange: func(failover.Event) { runtime.Goexit() },
		})
		defer g.Close()
		time.Sleep(10 * time.Second)
		if s := g.Snapshot().Targets[0]; s.State == failover.Healthy {
			t.Errorf("bad probes: %+v", s)
		}
		well.Store(true)
		time.Sleep(time.Minute)
		if s := g.Snapshot().Targets[0]; s.State != failover.Healthy {
			t.Errorf("good probes: %+v", s)
		}
	})
}

// panickingLog is a log whose handler panics.
type panickingLog struct{ slog.Handler }

func (panickingLog) Handle(context.Context, slog.Record) error { panic("handler") }

// A log handler that panicked in the background, where no caller is, ended the process; and OnChange did not hear.
func TestLogHandlerPanicsAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard, lookups := 0, 0
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), Logger: slog.New(panickingLog{slog.NewTextHandler(io.Discard, nil)}),
			Probe:    func(_ context.Context, i int) error { return []error{nil, errDown}[i] },
			Resolve:  func(context.Context) ([]failover.Target[int], error) { lookups++; return nil, errDown },
			OnChange: func(failover.Event) { heard++ },
		})
		for range 30 { // some of which find nothing to do but to look
			func() { // a lookup begins with it; should it be the one that finds an ejection over, the panic is its own
				defer func() { _ = recover() }()
				_, _ = failover.Do(t.Context(), g, answer)
			}()
			time.Sleep(time.Minute)
		}
		g.Close()
		if heard < 2 || lookups < 2 {
			t.Errorf("OnChange heard %d times; %d lookups", heard, lookups)
		}
	})
}

// While Close waited for a probe that hung, a target that was ejected was neither probed nor tried.
func TestTrialsWhileCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(2), ProbeInterval: time.Second, BadProbes: 1 << 30,
			Probe: func(_ context.Context, i int) error {
				if i == 1 {
					<-hang
				}
				return nil
			},
		})
		for range 5 {
			_, _ = failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) {
				if i == 0 {
					return 0, errDown
				}
				return i, nil
			})
		}
		time.Sleep(200 * time.Millisecond) // the probe hangs
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			g.Close()
		}()
		for range 30 {
			time.Sleep(time.Second)
			_, _ = failover.Do(t.Context(), g, answer)
		}
		if s := g.Snapshot().Targets[0]; s.State != failover.Healthy {
			t.Errorf("%+v", s)
		}
		close(hang)
		<-closed
	})
}

// A probe that said after its timeout that all is well was believed, if it said so before it counted as one that hangs.
func TestLateProbeIsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(1), ProbeInterval: 5 * time.Second, ProbeTimeout: time.Second,
			Probe: func(context.Context, int) error { time.Sleep(1900 * time.Millisecond); return nil },
		})
		defer g.Close()
		time.Sleep(15 * time.Second)
		if s := g.Snapshot().Targets[0]; s.State == failover.Healthy || s.LastError != "timeout" {
			t.Errorf("%+v", s)
		}
	})
}

// refusedFor is a refusal that says when to come again.
type refusedFor struct{ askedFor }

func (refusedFor) Refused() bool { return true }

// What a FirstError says of those in it. It was a refusal as soon as one of them was.
func TestFirstErrorSays(t *testing.T) {
	for name, row := range map[string]struct {
		errs             []error
		refused, timeout bool
		after            time.Duration
		word             string
	}{
		"a refusal, then a failure": {[]error{refusedFor{askedFor(time.Minute)}, errDown}, false, false, 0, "_OTHER"},
		"refusals":                  {[]error{refusedFor{askedFor(3)}, refusedFor{askedFor(2)}}, true, false, 2, ""},
		"a timeout, then a failure": {[]error{context.DeadlineExceeded, errDown}, false, false, 0, "_OTHER"},
		"a failure, then a timeout": {[]error{errDown, context.DeadlineExceeded}, false, true, 0, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := failover.First(t.Context(), gives(0, row.errs[0]), gives(0, row.errs[1]))
			first, is := err.(*failover.FirstError)
			if !is {
				t.Fatalf("%T", err)
			}
			if first.Refused() != row.refused || first.Timeout() != row.timeout || first.Temporary() != row.timeout || first.RetryAfter() != row.after {
				t.Error(first.Refused(), first.Timeout(), first.Temporary(), first.RetryAfter())
			}
			if row.word != "" && first.ErrorType() != row.word {
				t.Error(first.ErrorType())
			}
		})
	}
	if none := (&failover.FirstError{}); none.Refused() || none.Timeout() || none.RetryAfter() != 0 {
		t.Error("no errors say nothing")
	}
}

// That a first lookup failed was a refusal, which no retry repeats. It is one only if Resolve says so.
func TestFailedLookupIsRetried(t *testing.T) {
	for name, row := range map[string]struct {
		err     error
		lookups int
	}{"failed": {errDown, 2}, "refused": {turnedAway{}, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lookups := 0
				g := failover.MustNew(failover.Config[int]{Resolve: func(context.Context) ([]failover.Target[int], error) {
					if lookups++; lookups == 1 {
						return nil, row.err
					}
					return targets(2), nil
				}})
				defer g.Close()
				p := retry.MustNew(retry.Config{})
				_, err := retry.Do(t.Context(), p, func(ctx context.Context) (int, error) { return failover.Do(ctx, g, answer) })
				if lookups != row.lookups || (err == nil) != (row.lookups == 2) {
					t.Errorf("%v after %d lookups", err, lookups)
				}
				if failed, is := errors.AsType[*failover.Error](err); is && !failed.NotSent() {
					t.Error("nothing was sent")
				}
			})
		})
	}
}

// A time in an error's text was rounded to itself.
func TestTimesAreBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var why string
		g := failover.MustNew(failover.Config[int]{
			Targets: targets(3), Balance: failover.RoundRobin, ConsecutiveFailures: -1, Window: 4 * time.Second,
			OnChange: func(e failover.Event) { why = e.Why },
		})
		for range 2000 {
			_, _ = failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) {
				time.Sleep([]time.Duration{1234567, 1234567, 98765432}[i])
				return i, nil
			})
			if why != "" {
				break
			}
		}
		if !strings.HasPrefix(why, "calls took ") || !strings.HasSuffix(why, ", with the others 1.23ms") || len(why) > len("calls took 98.8ms, with the others 1.23ms") {
			t.Error(why)
		}
	})
}

// net.Resolver returns the records whose names are valid together with an error about the others: none of them was used.
func TestSRVInPart(t *testing.T) {
	n := &names{records: []*net.SRV{{Target: "a.example.", Port: 443}}, err: &net.DNSError{Err: "SRV header name is invalid"}}
	ts, err := failover.SRV(n, "users", "tcp", "example.com", "https")(t.Context())
	if err != nil || len(ts) != 1 || ts[0].Name != "a.example:443" {
		t.Error(ts, err)
	}
}

// A request that net/http refuses for what it is went to each target, and counted against it.
func TestMalformedIsTheCallersFault(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"header":  func(r *http.Request) { r.Header["X-Name"] = []string{"a\nb"} },
		"method":  func(r *http.Request) { r.Method = "GET IT" },
		"no head": func(r *http.Request) { r.Header = nil },
		"Host":    func(r *http.Request) { r.Host = "a\nb" },
		"no URL":  func(r *http.Request) { r.URL = nil },
	} {
		for _, http2 := range []bool{false, true} {
			b := newBackend(t, http2, says(200, "ok"))
			g := group(t, failover.Config[*url.URL]{KeepHost: true}, b.URL, b.URL)
			rt := failover.Transport(g, b.Client().Transport)
			get := func() *http.Request {
				return request(t, http.MethodGet, b.URL[:strings.Index(b.URL, ":")]+"://users/", nil)
			}
			if resp, err := rt.RoundTrip(get()); text(t, resp, err) != "200 ok" { // there is a connection now
				t.Fatal(err)
			}
			r := get()
			spoil(r)
			resp, err := rt.RoundTrip(r)
			if got := text(t, resp, err); err == nil && (http2 && name == "method" || !http2 && name == "Host") {
				continue // net/http lets that pass, or mends it
			} else if err == nil || b.requests.Load() != 1 {
				t.Errorf("%s: %s", name, got)
			}
			s := g.Snapshot()
			settled(t, s)
			for _, target := range s.Targets {
				if target.Failures != 0 || s.Failovers != 0 {
					t.Errorf("%s: %v counts against %+v; failovers: %d", name, err, target, s.Failovers)
				}
			}
		}
	}
}

// What is wrong with the target's own URL counts against it, and another does better.
func TestBadURLIsTheTargetsFault(t *testing.T) {
	for _, bad := range []string{"ftp://users", "http:///users"} {
		b := newBackend(t, false, says(200, "ok"))
		g := group(t, failover.Config[*url.URL]{}, bad, b.URL)
		resp, err := failover.Transport(g, &http.Transport{}).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		if got := text(t, resp, err); got != "200 ok" || g.Snapshot().Targets[0].Failures != 1 {
			t.Errorf("%s: %s, %+v", bad, got, g.Snapshot().Targets[0])
		}
	}
}

// A target without a URL got the request for the host that stands for the group.
func TestTargetWithoutURL(t *testing.T) {
	b := newBackend(t, false, echoes)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		g := failover.MustNew(failover.Config[*url.URL]{Name: "users", Targets: append([]failover.Target[*url.URL]{{Name: "nowhere"}}, at(t, b.URL)...)})
		var a accounts
		resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(a.request(t, method, "http://users/", "body", true))
		if got := text(t, resp, err); got != "200 body" || a.left() != 0 || g.Snapshot().Targets[0].Failures != 1 {
			t.Errorf("%s: %s, %d bodies are open, %+v", method, got, a.left(), g.Snapshot().Targets[0])
		}
		if err := g.Update([]failover.Target[*url.URL]{{Name: "nowhere"}}); err != nil {
			t.Fatal(err)
		}
		_, err = failover.Transport(g, nil).RoundTrip(a.request(t, method, "http://users/", "body", false))
		if err == nil || !strings.Contains(err.Error(), "failover users: nowhere: the target's URL is nil") || a.left() != 0 {
			t.Errorf("%s: %v, %d bodies are open", method, err, a.left())
		}
	}
}

// Many long calls within one spell overflowed into their count.
func TestLongCallsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 600
		g := failover.MustNew(failover.Config[int]{Targets: targets(1), Window: 10 * time.Minute})
		for spell := range uint64(3) { // what is heeded of a call is not known in the first
			for range calls {
				go func() {
					_, _ = failover.Do(t.Context(), g, func(context.Context, int) (int, error) { time.Sleep(290 * time.Second); return 0, nil })
				}()
			}
			time.Sleep(5 * time.Minute)
			if s := g.Snapshot().Targets[0]; s.Successes != (spell+1)*calls {
				t.Errorf("%d successes after %d calls", s.Successes, (spell+1)*calls)
			}
		}
	})
	if _, err := failover.New(failover.Config[int]{Targets: targets(1), Window: 10*time.Minute + 1}); err == nil {
		t.Error("a Window that is too long for the counters")
	}
}
