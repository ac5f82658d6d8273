package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

var errDown = errors.New("down")

func BenchmarkRuntimeStack(b *testing.B) {
	s := three()
	ctx := context.Background()
	n := 1
	b.ReportAllocs()
	for b.Loop() {
		if v, err := holdfast.Do(ctx, s, func(context.Context) (int, error) { return n, nil }); v != 1 || err != nil {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkRuntimeStackDiscard(b *testing.B) {
	s := holdfast.MustStack(breaker.MustNew(breaker.Config{}), bulkhead.MustNew(bulkhead.Config{Limit: 64}))
	ctx := context.Background()
	n := 1
	b.ReportAllocs()
	for b.Loop() {
		v, err := holdfast.DoDiscard(ctx, s, func(context.Context) (int, error) { return n, nil }, func(int) { n++ })
		if v != 1 || err != nil {
			b.Fatal(v, err)
		}
	}
}

func three() *holdfast.Stack {
	return holdfast.MustStack(
		retry.MustNew(retry.Config{Name: "users"}), breaker.MustNew(breaker.Config{Name: "users"}), bulkhead.MustNew(bulkhead.Config{Limit: 64}))
}

// A success through a stack of three costs two allocations at the most, in each door.
func TestRuntimeStackAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes allocations of its own")
	}
	s, n := three(), 7
	wrapped := holdfast.Wrap(s, func(_ context.Context, in int) (int, error) { return in, nil })
	for name, call := range map[string]func(context.Context) error{
		"Do": func(ctx context.Context) error {
			_, err := holdfast.Do(ctx, s, func(context.Context) (int, error) { return n, nil })
			return err
		},
		"Wrap": func(ctx context.Context) error { _, err := wrapped(ctx, n); return err },
		"Run":  func(ctx context.Context) error { return s.Run(ctx, func(context.Context) error { n++; return nil }) },
	} {
		if got := testing.AllocsPerRun(1000, func() {
			if err := call(t.Context()); err != nil {
				t.Error(err)
			}
		}); got > 2 {
			t.Errorf("%s: %v allocations, want 2 at the most", name, got)
		}
	}
}

func TestStackString(t *testing.T) {
	full := holdfast.MustStack(
		retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxElapsed: time.Minute}),
		hedge.MustNew(hedge.Config{MaxExtraLoad: 0.05}),
		breaker.MustNew(breaker.Config{SlowAfter: time.Second}),
		bulkhead.MustNew(bulkhead.Config{Limit: 8, Queue: 16, Rate: 100}),
	)
	for _, test := range []struct {
		stack *holdfast.Stack
		want  string
	}{
		{three().Named("users"), "users: retry(3, 100ms..5s) → breaker(50% of 20 in 10s) → bulkhead(64)"},
		{full, "retry(3, 100ms..5s, 1s each, 1m0s in all) → hedge(1 after p95, +5%) → breaker(50% of 20 in 10s, 50% above 1s) → bulkhead(8 + 16, 100/s)"},
		{holdfast.MustStack(three().Named("in"), (*retry.Policy)(nil)), "retry(3, 100ms..5s) → breaker(50% of 20 in 10s) → bulkhead(64) → retry(off)"},
		{holdfast.MustStack(once{}), "holdfast_test.once"},
		{holdfast.MustStack(), "nothing"},
		{nil, "no stack"},
	} {
		if got := test.stack.String(); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
	want := "flowchart LR\n    caller([caller]) --> p1[\"users<br/>retry(3, 100ms..5s)\"] --> p2[\"users<br/>breaker(50% of 20 in 10s)\"] --> p3[\"bulkhead(64)\"] --> fn([fn])\n"
	if got := three().Mermaid(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// What Describe says of the calls is what a dependency that is down gets, and no more.
func TestDescribeCalls(t *testing.T) {
	tries := func(n int) *retry.Policy { return retry.MustNew(retry.Config{MaxAttempts: n, BaseDelay: -1}) }
	hedges := hedge.MustNew(hedge.Config{MaxHedges: 2, Delay: time.Second, MaxExtraLoad: -1})
	slots := bulkhead.MustNew(bulkhead.Config{Limit: 100})
	for _, test := range []struct {
		policies []holdfast.Runner
		want     int
		exact    bool // fn's failures are such that it is reached
	}{
		{nil, 1, true},
		{[]holdfast.Runner{tries(4), slots}, 4, true},
		{[]holdfast.Runner{tries(3), tries(5)}, 7, false}, // 5 where each failure may be repeated
		{[]holdfast.Runner{tries(3), hedges}, 9, true},
		{[]holdfast.Runner{hedges, tries(3)}, 9, false}, // 3: what is exhausted starts no hedge, only what is slow does
		{[]holdfast.Runner{holdfast.MustStack(tries(2)), hedges}, 6, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := holdfast.MustStack(test.policies...)
			var mu sync.Mutex
			made := 0
			err := s.Run(t.Context(), func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				made++
				return errDown
			})
			synctest.Wait()
			if got := s.Describe().Calls; got != test.want || made > got || test.exact && made != got {
				t.Errorf("%v: at most %d calls, made %d, want %d", s, got, made, test.want)
			}
			if len(test.policies) > 0 && !errors.Is(err, errDown) {
				t.Error(err)
			}
		})
	}
}

func TestDescribeBounds(t *testing.T) {
	for _, test := range []struct {
		policies    []holdfast.Runner
		time        time.Duration
		concurrency int
	}{
		{nil, 0, 0},
		{[]holdfast.Runner{retry.MustNew(retry.Config{MaxElapsed: time.Minute})}, time.Minute, 0},
		{[]holdfast.Runner{retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxRetryAfter: -1})}, 3*time.Second + 300*time.Millisecond, 0},
		{[]holdfast.Runner{
			bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 5, MaxWait: time.Second}),
			hedge.MustNew(hedge.Config{MaxHedges: 2}),
			retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxAttempts: 1}),
		}, 4 * time.Second, 30},
		{[]holdfast.Runner{hedge.MustNew(hedge.Config{}), bulkhead.MustNew(bulkhead.Config{Limit: 10})}, 0, 10},
		{[]holdfast.Runner{bulkhead.MustNew(bulkhead.Config{Limit: 10}), twice{}}, 0, 0},
	} {
		s := holdfast.MustStack(test.policies...)
		if d := s.Describe(); d.Time != test.time || d.Concurrency != test.concurrency || len(d.Layers) != len(test.policies) {
			t.Errorf("%v: %+v, want %v and %d", s, d, test.time, test.concurrency)
		}
	}
}

// twice is a policy of somebody else's. It runs fn twice at once, and is content with one success.
type twice struct{}

func (twice) Run(ctx context.Context, fn func(context.Context) error) error {
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- fn(ctx) }()
	}
	if err := <-errs; err == nil {
		return nil
	}
	return <-errs
}

// Where attempts run beside each other, the value is that of the attempt that counts, and each other one is discarded once.
func TestEachAttemptHasItsValue(t *testing.T) {
	hedges := hedge.MustNew(hedge.Config{Delay: -1, MaxExtraLoad: -1})
	for name, policies := range map[string][]holdfast.Runner{
		"hedge":                {hedges},
		"somebody else's":      {twice{}},
		"a stack in a stack":   {holdfast.MustStack(hedges)},
		"around another":       {twice{}, breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1})},
		"inside a bulkhead":    {bulkhead.MustNew(bulkhead.Config{Limit: 1}), hedges},
		"somebody else's both": {twice{}, twice{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := holdfast.MustStack(policies...)
				play := func(round int) {
					var mu sync.Mutex
					made, dropped := map[int]int{}, map[int]int{}
					v, err := holdfast.DoDiscard(t.Context(), s, func(context.Context) (int, error) {
						mu.Lock()
						n := len(made) + 1
						made[n]++
						mu.Unlock()
						time.Sleep(time.Duration((n*7+round)%5) * time.Millisecond)
						if (n+round)%3 == 0 {
							return -n, errDown
						}
						return n, nil
					}, func(v int) {
						mu.Lock()
						dropped[max(v, -v)]++
						mu.Unlock()
					})
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					if err != nil || v <= 0 {
						t.Fatal(v, err)
					}
					dropped[v]++
					if fmt.Sprint(made) != fmt.Sprint(dropped) {
						t.Fatalf("round %d: values %v, returned or discarded %v", round, made, dropped)
					}
				}
				for round := range 50 {
					play(round)
				}
			})
		})
	}
}

func TestStackDoorsAndFaults(t *testing.T) {
	var none *holdfast.Stack
	if v, err := holdfast.Do(t.Context(), none, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("a nil stack: %d, %v", v, err)
	}
	if err := none.Run(t.Context(), nil); err == nil || err.Error() != "stack: fn is nil" {
		t.Error(err)
	}
	if _, err := holdfast.Do[int](t.Context(), three().Named("users"), nil); err == nil || err.Error() != "stack users: fn is nil" {
		t.Error(err)
	}
	_, err := holdfast.NewStack(nil, (*pointed)(nil), three())
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "policy 1: nil") || !strings.Contains(err.Error(), "policy 2: a nil *holdfast_test.pointed") {
		t.Error(err)
	}
	if _, err := holdfast.NewStack(called(nil)); err == nil || !strings.Contains(err.Error(), "policy 1: a nil holdfast_test.called") {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Wrap of a nil fn, and no panic")
		}
	}()
	holdfast.Wrap[int, int](none, nil)
}

// A panic of fn reaches the caller through any layer, and the value that was in hand is discarded.
func TestStackPanics(t *testing.T) {
	s := holdfast.MustStack(retry.MustNew(retry.Config{}), once{}, breaker.MustNew(breaker.Config{}))
	defer func() {
		if r := recover(); r != "of fn" {
			t.Errorf("recovered %v", r)
		}
	}()
	_, _ = holdfast.Do(t.Context(), s, func(context.Context) (int, error) { panic("of fn") })
}

// pointed is one whose nil pointer is no policy.
type pointed struct{ once }

// called is a policy that is a function.
type called func(context.Context, func(context.Context) error) error

func (c called) Run(ctx context.Context, fn func(context.Context) error) error { return c(ctx, fn) }

// once is a policy of somebody else's that does nothing.
type once struct{}

func (once) Run(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }
