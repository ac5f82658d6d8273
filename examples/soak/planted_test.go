package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
)

// plain is a combination without a fault: what the soak is to find is planted in it.
const plain = "retry-breaker-bulkhead-hedge-failover/none"

// soon is longest for the time of a test.
func soon(t *testing.T) {
	before := longest
	longest = 30 * ms
	t.Cleanup(func() { longest = before })
}

// testWorld is the world of a combination, at a site of its own, without calls.
func testWorld(t *testing.T, name string) *world {
	t.Helper()
	at, err := openSite()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.close)
	w, err := newWorld(matching(name)[0], 1, at)
	if err != nil {
		t.Fatal(err)
	}
	w.calls = nil
	w.enable()
	return w
}

// wantComplaint expects one that has this in it.
func wantComplaint(t *testing.T, w *world, want string) {
	t.Helper()
	if all := strings.Join(w.complaints.list(), "\n"); !strings.Contains(all, want) {
		t.Errorf("the complaints are %q, want one of %q", all, want)
	}
}

func wantNone(t *testing.T, w *world) {
	t.Helper()
	if all := w.complaints.list(); len(all) > 0 {
		t.Errorf("the complaints are %q, want none", all)
	}
}

// policy finds the watched policy of a kind.
func policy(t *testing.T, w *world, kind string) *watched {
	t.Helper()
	for i := range w.policies {
		if w.policies[i].name == kind {
			return &w.policies[i]
		}
	}
	t.Fatalf("no %s in %v", kind, w)
	return nil
}

// TestSettles: without anything planted, there is nothing to complain of.
func TestSettles(t *testing.T) {
	w := testWorld(t, plain)
	resp, err := w.wire.RoundTrip(get(t, w))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !w.settle() {
		t.Error("it did not settle")
	}
	wantNone(t, w)
}

// get is a request to one of the world's backends, under all policies.
func get(t *testing.T, w *world) *http.Request {
	t.Helper()
	req, err := w.request(t.Context(), &call{planned: planned{id: "planted", method: http.MethodGet, size: 100}}, w.site.urls[0])
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestPlanted(t *testing.T) {
	tests := []struct {
		name  string
		plant func(t *testing.T, w *world)
		want  string
	}{
		{"a permit is leaked", func(t *testing.T, w *world) {
			if _, err := policy(t, w, "bulkhead").policy.(*bulkhead.Bulkhead).Acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, "bulkhead: 1 places are taken"},
		{"a body is not closed", func(t *testing.T, w *world) {
			resp, err := w.wire.RoundTrip(get(t, w))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
		}, "1 of 1 bodies of responses are open"},
		{"a body of a request is not closed", func(t *testing.T, w *world) {
			req, err := w.request(t.Context(), &call{planned: planned{id: "planted", method: http.MethodPut, body: 10}}, service)
			if err != nil {
				t.Fatal(err)
			}
			req.Body.Close()
			if _, err := req.GetBody(); err != nil {
				t.Fatal(err)
			}
		}, "1 of 2 bodies of requests are open"},
		{"a call is in no column", func(t *testing.T, w *world) {
			_ = policy(t, w, "retry").tap.Run(t.Context(), func(context.Context) error { return nil })
		}, "retry: the books have 0 successes, 0 failures, 0 ignored, 0 refused, which is 0 calls; 1 were made"},
		{"a failure is a success", func(t *testing.T, w *world) {
			b := policy(t, w, "breaker")
			b.columns = exact
			_ = b.tap.Run(t.Context(), func(ctx context.Context) error {
				_ = b.policy.Run(ctx, func(context.Context) error { return nil })
				return errors.New("planted")
			})
		}, "1 successes, 0 failures, 0 ignored, 0 refused; 0 calls came back without an error"},
		{"a panic is no failure", func(t *testing.T, w *world) {
			b := policy(t, w, "breaker")
			defer func() { _ = recover() }()
			_ = b.tap.Run(t.Context(), func(ctx context.Context) error {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				_ = b.policy.Run(ctx, func(context.Context) error { return nil })
				panic("planted")
			})
		}, "0 successes, 0 failures, 1 ignored, 0 refused; 1 calls have panicked"},
		{"a probe is left", func(t *testing.T, w *world) {
			b := policy(t, w, "breaker").policy.(*breaker.Breaker)
			for range 10 { // enough to open it
				_ = b.Run(t.Context(), func(context.Context) error { return errors.New("planted") })
			}
			for range 5000 { // until its cool-down is over
				if _, err := b.Allow(); err == nil {
					return
				}
				time.Sleep(ms)
			}
			t.Error("there was no probe")
		}, "breaker: 1 probes are under way"},
		{"a target is left busy", func(t *testing.T, w *world) {
			hold(t, policy(t, w, "failover").policy.Run)
		}, "failover: 1 calls are under way at target"},
		{"a call does not come back to a policy", func(t *testing.T, w *world) {
			hold(t, policy(t, w, "hedge").tap.Run)
		}, "hedge: 1 calls have not returned"},
		{"a connection is left", func(t *testing.T, w *world) {
			c, err := (&dialer{ledger: &w.connections}).DialContext(t.Context(), "tcp", w.site.urls[0].Host)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}, "1 of 1 connections of the client are open"},
		{"a call does not come to the stack", func(_ *testing.T, w *world) {
			w.calls = []*call{{}}
		}, "1 calls were made, and 0 have come to the stack"},
		{"a server panics", func(_ *testing.T, w *world) {
			fmt.Fprint(w.site, "http: panic serving 127.0.0.1:9: planted")
		}, "a server has panicked by itself: http: panic serving 127.0.0.1:9: planted"},
		{"a server panics because it is to", func(_ *testing.T, w *world) {
			fmt.Fprintf(w.site, "http: panic serving 127.0.0.1:9: %s", injectedText)
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			soon(t)
			w := testWorld(t, plain)
			test.plant(t, w)
			w.settle()
			if test.want == "" {
				wantNone(t, w)
			} else {
				wantComplaint(t, w, test.want)
			}
		})
	}
}

// hold begins a call that lasts until the test is over.
func hold(t *testing.T, run func(context.Context, func(context.Context) error) error) {
	t.Helper()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = run(context.Background(), func(context.Context) error { close(begun); <-end; return nil })
	}()
	<-begun
	t.Cleanup(func() { close(end); <-ended })
}

// TestPlantedLate: a call is late when it is later than the bound, and what the machine is, and what nobody could leave.
func TestPlantedLate(t *testing.T) {
	for _, test := range []struct {
		late, allowed, lag time.Duration
		want               bool
	}{
		{late: 100 * ms},
		{late: 101 * ms, want: true},
		{late: 150 * ms, lag: 5 * ms},
		{late: 151 * ms, lag: 5 * ms, want: true},
		{late: 250 * ms, lag: 5 * ms, allowed: 100 * ms},
		{late: 251 * ms, lag: 5 * ms, allowed: 100 * ms, want: true},
	} {
		s := &soak{options: options{late: 100 * ms}, lag: &lag{}, tally: newTally()}
		now := time.Now()
		s.lag.add(nap{now.Add(-time.Hour), 10 * time.Minute}) // before
		s.lag.add(nap{now.Add(ms), test.lag})
		s.lag.add(nap{now.Add(3 * time.Second), time.Minute}) // and after
		w := &world{began: now, ended: now.Add(2 * time.Second), calls: []*call{{planned: planned{door: &doors[0]}, late: test.late, allowed: test.allowed}}}
		w.calls[0].returned.Store(true)
		s.judgeTimes([]*world{w})
		if got := len(w.complaints.list()) > 0; got != test.want {
			t.Errorf("%+v: complaints %q", test, w.complaints.list())
		}
	}
}

// TestPlantedHang: a call that does not return is told by its name, is in no column of the report, and the soak is over.
func TestPlantedHang(t *testing.T) {
	before := stuck
	stuck = 30 * ms
	defer func() { stuck = before }()
	w := testWorld(t, plain)
	end, ended := make(chan struct{}), make(chan struct{})
	hangs := door{"planted", func(context.Context, *world, *call) ([]byte, error) {
		defer close(ended)
		<-end
		return nil, errTime
	}}
	w.calls = []*call{{planned: planned{id: "call-7", door: &hangs, deadline: time.Second}}}
	if w.burst() {
		t.Error("all calls have returned, it says")
	}
	wantComplaint(t, w, "call-7 (planted")
	s := &soak{lag: &lag{}, tally: newTally()}
	s.judgeTimes([]*world{w})
	s.tally.add(w, 1)
	if sum := s.tally.sum(); sum.calls != 1 || sum.outcomes != [outcomes]int{} {
		t.Errorf("%d calls, with outcomes %v", sum.calls, sum.outcomes)
	}
	close(end)
	<-ended
}

// TestPlantedGoroutine: who has left it is told, with its stack.
func TestPlantedGoroutine(t *testing.T) {
	soon(t)
	other, w := testWorld(t, "/client-error"), testWorld(t, plain)
	s := &soak{base: settledGoroutines(), tally: newTally()}
	s.judgeGoroutines([]*world{other, w})
	wantNone(t, w)
	end := make(chan struct{})
	pprof.Do(t.Context(), pprof.Labels(label, w.String()), func(context.Context) {
		for range 50 { // more than what may still be ending of other tests
			go forgotten(end)
		}
	})
	s.judgeGoroutines([]*world{other, w})
	close(end)
	wantComplaint(t, w, "forgotten")
	wantNone(t, other)
	if !s.over {
		t.Error("it goes on, and others would be blamed")
	}
}

func forgotten(end chan struct{}) { <-end }

// TestJudge: what came of calls, each with what is to be said of it.
func TestJudge(t *testing.T) {
	right := answer("c", 20)
	odd := errors.New("odd")
	for _, test := range []struct {
		name   string
		fault  string
		rate   float64
		call   planned
		sent   int64
		shed   int64
		result result
		want   string // empty: nothing
		is     outcome
	}{
		{name: "success", sent: 1, result: result{body: right}},
		{name: "another's answer", sent: 1, result: result{body: answer("d", 20)}, want: "not the 20 of its answer"},
		{name: "half an answer", sent: 1, result: result{body: right[:10]}, want: "10 bytes that are not the 20"},
		{name: "a spoilt answer", fault: "/client-corrupt", sent: 1, result: result{body: answer("d", 20)}},
		{name: "out of nothing", result: result{body: right}, want: "has sent nothing"},
		{name: "too many", sent: 1000, result: result{body: right}, want: "has sent 1000 requests, and the stack says"},
		{name: "failure", sent: 1, result: result{err: &statusError{code: 500}}, is: failure},
		{name: "of nobody", fault: "/client-error", sent: 1, result: result{err: odd}, want: "an error of a kind that nobody makes", is: failure},
		{name: "refused", result: result{err: &breaker.OpenError{}}, is: refused},
		{name: "refused after work", sent: 1, result: result{err: &breaker.OpenError{}}, want: "says that nothing was done, and has sent 1 requests, of which servers refused 0", is: refused},
		{name: "refused by servers", sent: 2, shed: 2, result: result{err: &breaker.OpenError{}}, is: refused},
		{name: "refused by one server of two", sent: 2, shed: 1, result: result{err: &breaker.OpenError{}}, want: "has sent 2 requests, of which servers refused 1", is: refused},
		{name: "refused by the server", sent: 1, shed: 1, result: result{err: &statusError{code: 503, refused: true}}, is: refused},
		{name: "refused by the last server", sent: 2, shed: 1, result: result{err: &statusError{code: 503, refused: true}}, want: "says that nothing was done, and has sent 2", is: refused},
		{name: "gone", call: planned{cancel: -1}, result: result{err: fmt.Errorf("x: %w", errGone)}, is: ignored},
		{name: "gone, and does not say", call: planned{cancel: -1}, result: result{err: odd}, want: "does not say why: odd", is: ignored},
		{name: "gone, and works", call: planned{cancel: -1}, sent: 2, result: result{err: errGone}, want: "it has sent 2 requests", is: ignored},
		{name: "a panic", sent: 1, result: result{panic: "odd"}, want: "a panic that nobody injected: odd", is: failure},
		{name: "a panic of nobody", sent: 1, result: result{panic: injected}, want: "a panic that nobody injected", is: failure},
		{name: "a panic of chaos", fault: "/client-panic", sent: 1, result: result{panic: injected}, is: failure},
		{name: "a hedged panic", fault: "/client-panic", sent: 1, result: result{panic: &hedge.PanicError{Value: injected}}, is: failure},
		{name: "vanished", fault: "/client-black-hole", rate: 1, sent: 1, result: result{err: context.DeadlineExceeded}, is: failure},
		{name: "came back", fault: "/client-black-hole", rate: 1, sent: 1, result: result{err: &statusError{code: 500}}, want: "a black hole", is: failure},
		{name: "was not struck", fault: "/client-black-hole", rate: 0.5, sent: 1, result: result{err: &statusError{code: 500}}, is: failure},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.fault == "" {
				test.fault = plain
			}
			w := &world{combination: matching(test.fault)[0], settings: &settings{rate: test.rate}, most: 100}
			test.call.id, test.call.size, test.call.method, test.call.door = "c", 20, http.MethodGet, &doors[1]
			c := &call{planned: test.call}
			c.sent.Store(test.sent)
			c.shed.Store(test.shed)
			ctx, gone := context.WithCancelCause(t.Context())
			defer gone(nil)
			if c.cancel < 0 {
				gone(errGone)
			}
			c.judge(ctx, w, &test.result)
			if test.want == "" {
				wantNone(t, w)
			} else {
				wantComplaint(t, w, test.want)
			}
			if c.outcome != test.is {
				t.Errorf("its outcome is %d, want %d", c.outcome, test.is)
			}
		})
	}
}

// TestDeaf: what nobody can leave may be as late as the fault makes it; nothing else may.
func TestDeaf(t *testing.T) {
	for _, test := range []struct {
		fault  string
		door   int
		method string
		key    bool
		want   time.Duration
	}{
		{"/client-deaf-long", 0, http.MethodPost, false, 0},
		{"/client-deaf", 0, http.MethodPost, false, silly},
		{"/client-deaf", 0, http.MethodPost, true, 0},
		{"/client-deaf", 0, http.MethodGet, false, 0},
		{"/client-deaf", 1, http.MethodPost, false, 0},
		{"/server-deaf", 0, http.MethodPost, false, 0},
		{"/client-latency", 0, http.MethodPost, false, 0},
	} {
		w := &world{combination: matching(test.fault)[0], settings: &settings{}}
		c := &call{planned: planned{id: "c", method: test.method, key: test.key, door: &doors[test.door]}}
		c.judge(t.Context(), w, &result{err: context.DeadlineExceeded})
		if c.allowed != test.want {
			t.Errorf("%+v: %v is allowed", test, c.allowed)
		}
	}
}
