package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// Off, and nil, fn is called as it is; with a done context too.
func TestOffPassesThrough(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	off := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}})
	for name, in := range map[string]*chaos.Injector{"off": off, "nil": nil} {
		v, err := chaos.Do(done, in, func(ctx context.Context) (int, error) {
			if ctx != done {
				t.Errorf("%s: another context", name)
			}
			return 7, errBoom
		})
		if v != 7 || err != errBoom {
			t.Errorf("%s: Do returned %v, %v", name, v, err)
		}
		wrapped := chaos.Wrap(in, func(_ context.Context, s string) (string, error) { return s + "!", nil })
		if v, err := wrapped(done, "hi"); v != "hi!" || err != nil {
			t.Errorf("%s: Wrap returned %v, %v", name, v, err)
		}
		if err := in.Run(done, func(context.Context) error { return errBoom }); err != errBoom {
			t.Errorf("%s: Run returned %v", name, err)
		}
		if in.Enabled() || in.Snapshot().Calls != 0 {
			t.Errorf("%s: %+v", name, in.Snapshot())
		}
	}
	var none *chaos.Injector
	none.Enable()
	none.Disable()
	if none.Enabled() || none.Config().Faults != nil {
		t.Error("a nil Injector is on")
	}
}

func TestNilFunc(t *testing.T) {
	for _, in := range []*chaos.Injector{nil, on(t)} {
		if _, err := chaos.Do[int](t.Context(), in, nil); err == nil || !strings.Contains(err.Error(), "fn is nil") {
			t.Errorf("Do: %v", err)
		}
		if err := in.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "fn is nil") {
			t.Errorf("Run: %v", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Wrap does not panic")
				}
			}()
			chaos.Wrap[int, int](in, nil)
		}()
	}
}

// What ends a call does so in each door; fn is not called.
func TestFailure(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, RetryAfter: "3"})
	fail := func(context.Context) (string, error) {
		t.Error("fn is called")
		return "", nil
	}
	_, err := chaos.Do(t.Context(), in, fail)
	e, ok := errors.AsType[*chaos.Error](err)
	if !ok || e.Error() != "chaos test: error" || !errors.Is(err, chaos.ErrInjected) || e.RetryAfter() != 3*time.Second || e.ErrorType() != "chaos_error" {
		t.Errorf("Do: %v", err)
	}
	if _, err := chaos.Wrap(in, func(ctx context.Context, _ int) (string, error) { return fail(ctx) })(t.Context(), 1); !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("Wrap: %v", err)
	}
	if err := in.Run(t.Context(), func(ctx context.Context) error { _, err := fail(ctx); return err }); !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("Run: %v", err)
	}
	if _, err := chaos.Do(t.Context(), on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, Err: errBoom}), fail); err != errBoom {
		t.Errorf("with an error of its own: %v", err)
	}
	_, err = chaos.Do(t.Context(), on(t, chaos.Fault{Kind: chaos.Reset, Rate: 1, Bytes: 9}), fail)
	if !errors.Is(err, syscall.ECONNRESET) || !errors.Is(err, chaos.ErrInjected) {
		t.Errorf("Reset: %v", err)
	}
	_, err = chaos.Do(t.Context(), on(t, chaos.Fault{Kind: chaos.Status, Rate: 1, Status: 429, RetryAfter: "7"}), fail)
	status, ok := errors.AsType[*chaos.StatusError](err)
	if !ok || status.StatusCode != 429 || status.RetryAfter() != 7*time.Second {
		t.Errorf("Status: %v", err)
	}
}

// Faults of bodies have nothing to strike in a function.
func TestBodyFaultsNotInFunctions(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1}, chaos.Fault{Kind: chaos.Corrupt, Rate: 1}, chaos.Fault{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 1})
	if v, err := chaos.Do(t.Context(), in, hello); v != "hello" || err != nil || !slices.Equal(struck(in), []uint64{0, 0, 0}) {
		t.Errorf("%v, %v, %v", v, err, struck(in))
	}
}

// With After the work is done and the answer lost.
func TestAfter(t *testing.T) {
	called := 0
	count := func(context.Context) (string, error) { called++; return "done", nil }
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, After: true})
	if v, err := chaos.Do(t.Context(), in, count); v != "done" || !errors.Is(err, chaos.ErrInjected) || called != 1 {
		t.Errorf("%q, %v, called %d times", v, err, called)
	}
	if n := struck(in); n[0] != 1 {
		t.Errorf("struck %v", n)
	}
}

// A panic has its value; the call is over then.
func TestPanic(t *testing.T) {
	value := &struct{ int }{1}
	for _, f := range []chaos.Fault{{Kind: chaos.Panic, Rate: 1, Panic: value}, {Kind: chaos.Panic, Rate: 1, Panic: value, After: true}, {Kind: chaos.Panic, Rate: 1}} {
		func() {
			defer func() {
				got := recover()
				if f.Panic != nil && got != any(value) {
					t.Errorf("panicked with %v", got)
				}
				if e, ok := got.(*chaos.Error); f.Panic == nil && (!ok || e.Kind != chaos.Panic) {
					t.Errorf("panicked with %v", got)
				}
			}()
			_, _ = chaos.Do(t.Context(), on(t, f), hello)
			t.Error("no panic")
		}()
	}
}

// The context ends a latency and a black hole at once, and both errors say why; a deaf call does not hear it.
func TestHolds(t *testing.T) {
	cause := errors.New("the user left")
	for _, test := range []struct {
		fault  chaos.Fault
		cancel time.Duration // 0: never
		takes  time.Duration
		fails  bool
	}{
		{chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Minute}}, 0, time.Minute, false},
		{chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Minute}}, time.Second, time.Second, true},
		{chaos.Fault{Kind: chaos.BlackHole}, time.Hour, time.Hour, true},
		{chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: time.Minute}}, time.Second, time.Minute, false},
	} {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				test.fault.Rate, test.fault.After = 1, after
				in := on(t, test.fault)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(cause) })
				}
				go func() {
					time.Sleep(test.takes / 2)
					if held := in.Snapshot().Held; held != 1 {
						t.Errorf("%v: held %d", test.fault.Kind, held)
					}
				}()
				called, start := false, time.Now()
				_, err := chaos.Do(ctx, in, func(context.Context) (int, error) { called = true; return 0, nil })
				if took := time.Since(start); took != test.takes || called != (after || !test.fails) {
					t.Errorf("%v, After %v: took %v, called %v", test.fault.Kind, after, took, called)
				}
				if test.fails != errors.Is(err, cause) || test.fails != errors.Is(err, context.Canceled) {
					t.Errorf("%v, After %v: %v", test.fault.Kind, after, err)
				}
				if held := in.Snapshot().Held; held != 0 {
					t.Errorf("%v: still held %d", test.fault.Kind, held)
				}
				synctest.Wait()
			})
		}
	}
}

// Disable lets go at once what is held, deaf or not.
func TestDisableLetsGo(t *testing.T) {
	for _, f := range []chaos.Fault{
		{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Hour}},
		{Kind: chaos.BlackHole, Rate: 1},
		{Kind: chaos.Deaf, Rate: 1, Delay: chaos.Delay{Median: time.Hour}},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := on(t, f)
			time.AfterFunc(time.Second, in.Disable)
			start := time.Now()
			if v, err := chaos.Do(t.Context(), in, hello); v != "hello" || err != nil || time.Since(start) != time.Second {
				t.Errorf("%v: %q, %v after %v", f.Kind, v, err, time.Since(start))
			}
		})
	}
}

// What only makes a call slow lets others strike; what ends it does not.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: time.Second}}
		in := on(t, slow, slow, chaos.Fault{Kind: chaos.Failure, Rate: 1}, slow)
		start := time.Now()
		if _, err := chaos.Do(t.Context(), in, hello); !errors.Is(err, chaos.ErrInjected) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if n := struck(in); !slices.Equal(n, []uint64{1, 1, 1, 0}) {
			t.Errorf("struck %v", n)
		}
	})
}

// pattern is which of n calls fail.
func pattern(ctx context.Context, in *chaos.Injector, n int) string {
	var s strings.Builder
	for range n {
		_, err := chaos.Do(ctx, in, hello)
		fmt.Fprint(&s, map[bool]int{false: 0, true: 1}[err != nil])
	}
	return s.String()
}

// The same seed gives the same faults, another one others; and a new Enable begins anew.
func TestSeed(t *testing.T) {
	make := func(seed uint64, faults ...chaos.Fault) *chaos.Injector {
		in := chaos.MustNew(chaos.Config{Seed: seed, Faults: faults})
		in.Enable()
		return in
	}
	half := chaos.Fault{Kind: chaos.Failure, Rate: 0.5}
	one := make(1, half)
	first := pattern(t.Context(), one, 64)
	if again := pattern(t.Context(), make(1, half), 64); again != first {
		t.Errorf("another Injector of the same seed:\n%s\n%s", first, again)
	}
	if other := pattern(t.Context(), make(2, half), 64); other == first {
		t.Error("another seed, the same faults")
	}
	one.Enable() // it is on: nothing changes
	if next := pattern(t.Context(), one, 64); next == first {
		t.Error("the second 64 calls are as the first")
	}
	one.Disable()
	one.Enable()
	if again := pattern(t.Context(), one, 64); again != first {
		t.Errorf("after a new Enable:\n%s\n%s", first, again)
	}
	if more := pattern(t.Context(), make(1, half, chaos.Fault{Kind: chaos.Truncate, Rate: 1}), 64); more != first {
		t.Error("a fault that was added at the end changes those before")
	}
	// The very faults, so that another version or machine has the same.
	const want = "1001111110111110"
	if first[:16] != want {
		t.Errorf("seed 1: %s, want %s", first[:16], want)
	}
}

// Rate is the share of calls; faults at the same rate strike others.
func TestRate(t *testing.T) {
	const n = 20_000
	free := chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: 1}}
	rates := []float64{0.001, 0.1, 0.1, 0.9, 1}
	faults := make([]chaos.Fault, len(rates))
	for i, rate := range rates {
		faults[i] = free
		faults[i].Rate = rate
	}
	synctest.Test(t, func(t *testing.T) {
		in := on(t, faults...)
		pattern(t.Context(), in, n)
		for i, got := range struck(in) {
			want := n * rates[i]
			if math.Abs(float64(got)-want) > 5*math.Sqrt(want*(1-rates[i])) {
				t.Errorf("rate %v: struck %d of %d", rates[i], got, n)
			}
		}
	})
}

// Under a key, the same calls get the same faults however they are mixed with others; and repetitions have fates of their own.
func TestKeys(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 0.5})
	const keys, each = 100, 8
	alone := make([]string, keys)
	for k := range alone {
		alone[k] = pattern(chaos.WithKey(t.Context(), fmt.Sprint("order-", k)), in, each)
	}
	if alone[0] == alone[1] && alone[1] == alone[2] {
		t.Error("keys do not count")
	}
	if strings.Count(strings.Join(alone, " "), "0") == 0 || slices.Contains(alone[:3], strings.Repeat("1", each)) && slices.Contains(alone[:3], strings.Repeat("0", each)) {
		t.Errorf("a call's repetitions share its fate: %v", alone[:3])
	}
	in.Disable()
	in.Enable()
	together := make([]string, keys)
	var all sync.WaitGroup
	for k := range together {
		all.Go(func() { together[k] = pattern(chaos.WithKey(t.Context(), fmt.Sprint("order-", k)), in, each) })
	}
	all.Wait()
	if !slices.Equal(alone, together) {
		t.Errorf("at once:\n%v\n%v", alone, together)
	}
}

// For whom.
func TestWhen(t *testing.T) {
	type tenant struct{}
	in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, When: func(ctx context.Context) bool { return ctx.Value(tenant{}) == "test" }})
	if _, err := chaos.Do(t.Context(), in, hello); err != nil {
		t.Errorf("not meant: %v", err)
	}
	if _, err := chaos.Do(context.WithValue(t.Context(), tenant{}, "test"), in, hello); err == nil {
		t.Error("meant, and spared")
	}
}

func TestSecret(t *testing.T) {
	in := chaos.MustNew(chaos.Config{Secret: "s3cret", Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}})
	in.Enable()
	for secret, struck := range map[string]bool{"": false, "s3cre": false, "s3cret": true, "s3cret ": false} {
		if _, err := chaos.Do(chaos.WithSecret(t.Context(), secret), in, hello); (err != nil) != struck {
			t.Errorf("%q: %v", secret, err)
		}
	}
	if _, err := chaos.Do(t.Context(), in, hello); err != nil {
		t.Errorf("without: %v", err)
	}
	if in.Config().Secret != "" {
		t.Error("Config tells the secret")
	}
	for _, what := range []any{in, chaos.Config{Secret: "s3cret"}, &chaos.Config{Secret: "s3cret"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, what); strings.Contains(got, "s3cret") || got == "" {
				t.Errorf("%s of a %T tells %s", verb, what, got)
			}
		}
	}
}

// One line when it goes on, one when it goes off, none for what changes nothing.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	in := chaos.MustNew(chaos.Config{
		Name: "users", Seed: 7, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}, {Name: "gone", Kind: chaos.BlackHole, Rate: 1}},
	})
	in.Enable()
	in.Enable()
	_, _ = chaos.Do(t.Context(), in, hello)
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") ||
		!strings.Contains(lines[0], `policy="chaos users" seed=7 faults="[error gone]"`) {
		t.Errorf("switched on:\n%s", out.String())
	}
	out.Reset()
	in.Disable()
	in.Disable()
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "calls=1 struck=1") {
		t.Errorf("switched off:\n%s", out.String())
	}
}

// 1,000 goroutines, while it is switched on and off: each call ends as it should, and all are counted.
func TestStorm(t *testing.T) {
	in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{
		{Kind: chaos.Latency, Rate: 0.1, Delay: chaos.Delay{Median: time.Microsecond, Sigma: 1}},
		{Kind: chaos.Failure, Rate: 0.3},
		{Kind: chaos.BlackHole, Rate: 0.05},
		{Kind: chaos.Panic, Rate: 0.1, Panic: errBoom},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := make(chan struct{})
	var switching, calling sync.WaitGroup
	switching.Go(func() {
		for {
			in.Enable()
			in.Snapshot()
			in.Disable()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 1000 {
		calling.Go(func() {
			for range 20 {
				func() {
					defer func() {
						if p := recover(); p != nil && p != any(errBoom) {
							panic(p)
						}
					}()
					if v, err := chaos.Do(ctx, in, hello); (v != "hello") != errors.Is(err, chaos.ErrInjected) {
						t.Errorf("%q, %v", v, err)
					}
				}()
			}
		})
	}
	calling.Wait()
	close(stop)
	switching.Wait()
	if held := in.Snapshot().Held; held != 0 {
		t.Errorf("still held: %d", held)
	}

	// Without being switched, with the same total as a single goroutine has.
	fail := chaos.MustNew(chaos.Config{Seed: 3, Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 0.3}}})
	fail.Enable()
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() { pattern(ctx, fail, 10) })
	}
	all.Wait()
	together := fail.Snapshot()
	fail.Disable()
	fail.Enable()
	pattern(ctx, fail, 10_000)
	if alone := fail.Snapshot(); together.Calls != 10_000 || together.Faults[0] != alone.Faults[0] {
		t.Errorf("%+v, alone %+v", together, alone)
	}
}
