package failover_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

type turnedAway struct{}

func (turnedAway) Error() string { return "turned away" }
func (turnedAway) Refused() bool { return true }

// budget is one of so many.
type budget struct{ left, deposits, asked int }

func (b *budget) Withdraw() bool {
	b.asked++
	b.left--
	return b.left >= 0
}
func (b *budget) Deposit() { b.deposits++ }

// What each target answers, and what comes of the call.
func TestReasons(t *testing.T) {
	other := errors.New("other")
	for name, row := range map[string]struct {
		config failover.Config[int]
		errs   []error
		tried  int
		reason error // nil: the error is the last one's own, or there is none
		want   error
	}{
		"well":              {errs: []error{nil, errDown}, tried: 1},
		"one is down":       {errs: []error{errDown, nil}, tried: 2},
		"two are down":      {errs: []error{errDown, other, nil}, tried: 3},
		"all are down":      {errs: []error{errDown, other}, tried: 2, reason: failover.ErrNoTarget, want: other},
		"only one":          {errs: []error{errDown}, tried: 1, reason: failover.ErrNoTarget, want: errDown},
		"MaxTries":          {errs: []error{errDown, other, errDown, nil}, tried: 3, reason: failover.ErrTries, want: errDown},
		"MaxTries 1":        {config: failover.Config[int]{MaxTries: 1}, errs: []error{errDown, nil}, tried: 1, reason: failover.ErrTries, want: errDown},
		"permanent":         {errs: []error{backoff.Permanent(errDown), nil}, tried: 1, want: errDown},
		"permanent, later":  {errs: []error{other, backoff.Permanent(errDown), nil}, tried: 2, reason: failover.ErrNotMovable, want: errDown},
		"another's cancel":  {errs: []error{context.Canceled, nil}, tried: 1, want: context.Canceled},
		"another's limit":   {errs: []error{context.DeadlineExceeded, nil}, tried: 2},
		"refused":           {errs: []error{turnedAway{}, turnedAway{}, nil}, tried: 3},
		"FailoverIf":        {config: failover.Config[int]{FailoverIf: isErrDown}, errs: []error{errDown, other, nil}, tried: 2, reason: failover.ErrNotMovable, want: other},
		"no budget":         {config: failover.Config[int]{Budget: &budget{left: 1}}, errs: []error{errDown, other, nil}, tried: 2, reason: failover.ErrBudget, want: other},
		"budget, refusals":  {config: failover.Config[int]{Budget: &budget{}}, errs: []error{turnedAway{}, turnedAway{}, nil}, tried: 3},
		"budget, and all":   {config: failover.Config[int]{Budget: &budget{left: 2}}, errs: []error{errDown, other, nil}, tried: 3},
		"a status":          {errs: []error{&failover.StatusError{StatusCode: 404}, nil}, tried: 1, want: &failover.StatusError{StatusCode: 404}},
		"a status to leave": {errs: []error{&failover.StatusError{StatusCode: 503}, nil}, tried: 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := row.config
			c.Name, c.Targets = "users", targets(len(row.errs))
			g := failover.MustNew(c)
			var tried []int
			v, err := failover.Do(t.Context(), g, func(_ context.Context, i int) (int, error) {
				tried = append(tried, i)
				return 10 + i, row.errs[i]
			})
			if len(tried) != row.tried || v != 10+row.tried-1 {
				t.Errorf("%d of %v", v, tried)
			}
			s := g.Snapshot()
			settled(t, s)
			if int(s.Failovers) != row.tried-1 || s.Calls != 1 {
				t.Errorf("%+v", s)
			}
			var failed *failover.Error
			switch is := errors.As(err, &failed); {
			case row.want == nil:
				if err != nil || s.Successes != 1 {
					t.Error(err)
				}
				return
			case !is != (row.reason == nil):
				t.Errorf("%T %v", err, err)
			case is:
				if !errors.Is(failed.Reason, row.reason) || !errors.Is(err, row.reason) || len(failed.Tried) != row.tried {
					t.Errorf("%+v", failed)
				}
				for i, x := range failed.Tried {
					if x.Target != fmt.Sprint("t", i) || x.Err != row.errs[i] || !errors.Is(err, x.Err) {
						t.Errorf("%d: %+v", i, x)
					}
				}
			}
			var status *failover.StatusError
			if !errors.Is(err, row.want) && !errors.As(err, &status) || s.Failures != 1 {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

func isErrDown(err error) bool { return errors.Is(err, errDown) }

// The Budget is asked for each attempt after the first, and told of each success, of a Lease too.
func TestBudget(t *testing.T) {
	b := &budget{left: 100}
	g := failover.MustNew(failover.Config[int]{Targets: targets(3), Budget: b})
	ask := func(errs ...error) {
		_ = g.Run(t.Context(), func(_ context.Context, i int) error { return errs[i] })
	}
	ask(nil)
	ask(errDown, nil)
	ask(turnedAway{}, nil)
	ask(turnedAway{}, errDown, nil)
	ask(errDown, errDown, errDown)
	if b.asked != 4 || b.deposits != 4 {
		t.Errorf("%+v", b)
	}
	l, err := g.Pick(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Done(nil)
	l.Done(nil)
	if b.deposits != 5 {
		t.Errorf("%+v", b)
	}
	l, _ = g.Pick(t.Context())
	l.Done(errDown)
	if b.deposits != 5 {
		t.Errorf("%+v", b)
	}
}

// A call visits as many targets as it may, and none twice.
func TestNoTargetTwice(t *testing.T) {
	for _, balance := range balances {
		for _, n := range []int{2, 3, 10} {
			for _, key := range []string{"", "key"} {
				g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: balance, MaxTries: 100})
				ctx := t.Context()
				if key != "" {
					ctx = failover.WithKey(ctx, key)
				}
				var tried []int
				err := g.Run(ctx, func(_ context.Context, i int) error {
					tried = append(tried, i)
					return errDown
				})
				slices.Sort(tried)
				if len(slices.Compact(tried)) != n || !errors.Is(err, failover.ErrNoTarget) {
					t.Errorf("%v, %d, %q: %v, %v", balance, n, key, tried, err)
				}
			}
		}
	}
}

// The caller goes, or its deadline passes: before, during the first attempt, during the second, or when there is a success.
func TestCallerGoes(t *testing.T) {
	own := errors.New("own")
	for name, row := range map[string]struct {
		at        time.Duration
		deadline  bool
		heeds     bool // fn ends with the context, with its cause
		succeeds  bool
		attempts  int
		ignored   uint64
		successes uint64
		wrong     uint64 // attempts that count against the second target
	}{
		"before":              {at: -1, ignored: 1},
		"at once":             {at: 500, heeds: true, attempts: 1, ignored: 1},
		"in the second":       {at: 1500, heeds: true, attempts: 2, ignored: 1},
		"unheeded":            {at: 500, attempts: 1, ignored: 1},
		"for nothing":         {at: 500, succeeds: true, attempts: 1, successes: 1},
		"deadline, at once":   {at: 500, deadline: true, heeds: true, attempts: 1},
		"deadline, in second": {at: 1500, deadline: true, heeds: true, attempts: 2, wrong: 1},
		"deadline, unheeded":  {at: 500, deadline: true, attempts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(3)})
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				want := own
				switch {
				case row.deadline:
					limited, end := context.WithTimeout(ctx, row.at*time.Millisecond)
					defer end()
					ctx, want = limited, context.DeadlineExceeded
				case row.at < 0:
					cancel(own)
				default:
					time.AfterFunc(row.at*time.Millisecond, func() { cancel(own) })
				}
				attempts := 0
				v, err := failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) {
					attempts++
					var end <-chan struct{}
					if row.heeds {
						end = ctx.Done()
					}
					select {
					case <-time.After(time.Second):
					case <-end:
						return i, context.Cause(ctx)
					}
					if row.succeeds {
						return 7, nil
					}
					return i, errDown
				})
				s := g.Snapshot()
				settled(t, s)
				if attempts != row.attempts || s.Ignored != row.ignored || s.Successes != row.successes || s.Calls != 1 || s.Targets[1].Failures != row.wrong {
					t.Errorf("%d attempts, %+v", attempts, s)
				}
				if row.succeeds {
					if v != 7 || err != nil {
						t.Error(v, err)
					}
					return
				}
				if !errors.Is(err, want) || !errors.Is(err, ctx.Err()) {
					t.Errorf("%v is not %v", err, want)
				}
				if lasting := row.attempts > 0 && (!row.heeds || row.attempts > 1); lasting != errors.Is(err, errDown) {
					t.Errorf("%v, and the last real error", err)
				}
				if timeout, is := err.(interface{ Timeout() bool }); row.deadline != (is && timeout.Timeout()) {
					t.Errorf("%v: a timeout?", err)
				}
			})
		})
	}
}

// An attempt has its time; what succeeded may be read for longer, as long as the caller wants.
func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), AttemptTimeout: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var contexts []context.Context
		v, err := failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) {
			contexts = append(contexts, ctx)
			if i < 2 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 7, nil
		})
		if v != 7 || err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("%d, %v after %v", v, err, time.Since(began))
		}
		time.Sleep(time.Hour)
		for i, c := range contexts {
			if (c.Err() != nil) != (i < 2) {
				t.Errorf("attempt %d: %v", i+1, c.Err())
			}
		}
		cancel()
		if contexts[2].Err() == nil {
			t.Error("it does not follow the caller's")
		}
		settled(t, g.Snapshot())
	})
}

// Panics and Goexit, of fn and of callbacks: everything goes back, and the next calls go well.
func TestPanics(t *testing.T) {
	for how, boom := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		down := func(context.Context, int) error { return errDown }
		for where, row := range map[string]struct {
			config failover.Config[int]
			fn     func(context.Context, int) error
			counts bool // against the target
		}{
			"fn":         {fn: func(context.Context, int) error { boom(); return nil }, counts: true},
			"FailoverIf": {config: failover.Config[int]{FailoverIf: func(error) bool { boom(); return true }}, fn: down, counts: true},
			"CountIf":    {config: failover.Config[int]{CountIf: func(error) bool { boom(); return true }}, fn: down, counts: true},
			"Withdraw":   {config: failover.Config[int]{Budget: calls{withdraw: boom}}, fn: down, counts: true},
			"Deposit":    {config: failover.Config[int]{Budget: calls{deposit: boom}}, fn: func(context.Context, int) error { return nil }},
			"OnChange":   {config: failover.Config[int]{OnChange: func(failover.Event) { boom() }, ConsecutiveFailures: 1}, fn: down, counts: true},
			"the error":  {fn: func(context.Context, int) error { return bomb{boom} }, counts: true},
			"Resolve": {config: failover.Config[int]{Resolve: func(context.Context) ([]failover.Target[int], error) {
				boom()
				return nil, nil
			}}, fn: down},
		} {
			t.Run(how+" of "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := row.config
					if c.Resolve == nil {
						c.Targets = targets(2)
					}
					g := failover.MustNew(c)
					over, returned := make(chan any), false
					go func() {
						defer func() { over <- recover() }()
						_ = g.Run(t.Context(), row.fn)
						returned = true
					}()
					value := <-over
					if returned || value == nil == (how == "panic") {
						t.Errorf("it returned: %v, with %v", returned, value)
					}
					s := g.Snapshot()
					settled(t, s)
					if s.Calls != 1 || s.Failures != 1 {
						t.Errorf("%+v", s)
					}
					if row.counts && s.Targets[0].Failures != 1 {
						t.Errorf("%+v", s.Targets[0])
					}
				})
			})
		}
	}
}

type calls struct{ withdraw, deposit func() }

func (c calls) Withdraw() bool {
	if c.withdraw != nil {
		c.withdraw()
	}
	return true
}

func (c calls) Deposit() {
	if c.deposit != nil {
		c.deposit()
	}
}

type bomb struct{ boom func() }

func (b bomb) Error() string { return "bomb" }
func (b bomb) Is(error) bool { b.boom(); return false }

// A trial that panics, or that the caller leaves, leaves room for another.
func TestTrialsEnd(t *testing.T) {
	for name, end := range map[string]func(g *failover.Group[int]){
		"panic": func(g *failover.Group[int]) {
			recovered(func() { _ = g.Run(context.Background(), func(context.Context, int) error { panic("boom") }) })
		},
		"cancel": func(g *failover.Group[int]) {
			ctx, cancel := context.WithCancel(context.Background())
			_ = g.Run(ctx, func(context.Context, int) error { cancel(); return ctx.Err() })
		},
		"refusal": func(g *failover.Group[int]) {
			_ = g.Run(context.Background(), func(_ context.Context, i int) error { return []error{turnedAway{}, nil}[i] })
		},
		"not counted": func(g *failover.Group[int]) {
			_ = g.Run(context.Background(), func(_ context.Context, i int) error { return backoff.Permanent(errDown) })
		},
		"lease, cancelled": func(g *failover.Group[int]) { l, _ := g.Pick(context.Background()); l.Done(context.Canceled) },
		"lease, failed":    func(g *failover.Group[int]) { l, _ := g.Pick(context.Background()); l.Done(errDown) },
		"lease, well":      func(g *failover.Group[int]) { l, _ := g.Pick(context.Background()); l.Done(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: 1, MaxEjectFor: 5 * time.Second, CountIf: func(err error) bool { return failover.Countable(err) }})
				_ = g.Run(context.Background(), func(_ context.Context, i int) error { return []error{errDown, nil}[i] })
				time.Sleep(5 * time.Second)
				end(g)
				time.Sleep(5 * time.Second)
				got := -1
				_ = g.Run(context.Background(), func(_ context.Context, i int) error { got = i; return nil })
				if got != 0 {
					t.Errorf("no trial: %+v", g.Snapshot())
				}
				settled(t, g.Snapshot())
			})
		})
	}
}

func TestNilGroup(t *testing.T) {
	var g *failover.Group[int]
	ctx := t.Context()
	if v, err := failover.Do(ctx, g, func(_ context.Context, i int) (int, error) { return i + 7, nil }); v != 7 || err != nil {
		t.Error(v, err)
	}
	wrapped := failover.Wrap(g, func(_ context.Context, i, in int) (int, error) { return i + in, errDown })
	if v, err := wrapped(ctx, 7); v != 7 || err != errDown {
		t.Error(v, err)
	}
	if err := g.Run(ctx, func(context.Context, int) error { return errDown }); err != errDown {
		t.Error(err)
	}
	l, err := g.Pick(ctx)
	if l.Name != "" || l.Value != 0 || err != nil {
		t.Error(l, err)
	}
	l.Done(nil)
	l.Done(errDown)
	if err := g.Update(targets(3)); err != nil {
		t.Error(err)
	}
	if s := g.Snapshot(); s.Calls != 0 || s.Targets != nil {
		t.Error(s)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Run(ctx, nil); err == nil {
		t.Error("a nil function")
	}
	if _, err := failover.Do[int, int](ctx, g, nil); err == nil {
		t.Error("a nil function")
	}
	if _, err := failover.Do[int, int](ctx, failover.MustNew(failover.Config[int]{Targets: targets(1)}), nil); err == nil {
		t.Error("a nil function")
	}
	if recovered(func() { failover.Wrap[int, int, int](g, nil) }) == nil {
		t.Error("a nil function to wrap")
	}
	var urls *failover.Group[*url.URL]
	if failover.Transport(urls, nil) == nil {
		t.Error("no transport")
	}
}

// The books of a thousand goroutines, with targets that change meanwhile.
func TestBooks(t *testing.T) {
	for _, balance := range balances {
		synctest.Test(t, func(t *testing.T) {
			g := failover.MustNew(failover.Config[int]{
				Targets: targets(5), Balance: balance, Suspicion: 8, ConsecutiveFailures: 3, PanicBelow: -1, AttemptTimeout: time.Second,
				EjectFor: 50 * time.Millisecond, MaxEjectFor: 100 * time.Millisecond,
			})
			var all sync.WaitGroup
			var attempts, made atomic.Uint64
			for i := range 1000 {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(i), 7))
					for range 20 {
						made.Add(1)
						aCall(t, g, r, &attempts)
						time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
					}
				})
			}
			for i := range 50 {
				if err := g.Update(targets(1 + i%7)); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			all.Wait()
			if err := g.Update(targets(5)); err != nil {
				t.Error(err)
			}
			s := g.Snapshot()
			settled(t, s)
			if s.Calls != made.Load() {
				t.Errorf("%d calls: %+v", made.Load(), s)
			}
			if n := s.Calls - s.Refused + s.Failovers; n < attempts.Load() || n > attempts.Load()+made.Load()/10 {
				t.Errorf("%d attempts: %+v", attempts.Load(), s)
			}
		})
	}
}

// aCall makes a call that ends in one of many ways.
func aCall(t *testing.T, g *failover.Group[int], r *rand.Rand, attempts *atomic.Uint64) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	takes, how := time.Duration(r.IntN(10))*time.Millisecond, r.IntN(12)
	fn := func(_ context.Context, i int) error {
		attempts.Add(1)
		time.Sleep(takes)
		switch {
		case how == 0:
			return turnedAway{}
		case how == 1:
			return backoff.Permanent(errDown)
		case how == 2:
			cancel()
			return ctx.Err()
		case how == 3:
			panic("boom")
		case i%3 == 0:
			return errDown
		}
		return nil
	}
	switch {
	case how == 4:
		cancel()
		_ = g.Run(ctx, fn)
	case how < 7:
		l, err := g.Pick(ctx)
		if err != nil {
			return
		}
		time.Sleep(takes)
		attempts.Add(1)
		l.Done([]error{nil, errDown, turnedAway{}, context.Canceled}[r.IntN(4)])
	default:
		recovered(func() { _ = g.Run(ctx, fn) })
	}
}

// With everything down, targets have little more to bear than the calls, once that is known; retries above are calls.
func TestLoadWhenAllAreDown(t *testing.T) {
	for _, balance := range balances {
		for _, n := range []int{2, 3, 10} {
			for _, retries := range []int{1, 3} {
				t.Run(fmt.Sprint(balance, n, retries), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: balance})
						p := retry.MustNew(retry.Config{MaxAttempts: retries, BaseDelay: time.Millisecond, MaxRetryAfter: time.Millisecond})
						attempts, asked := 0, 0
						ask := func() {
							_ = p.Run(t.Context(), func(ctx context.Context) error {
								asked++
								return g.Run(ctx, func(context.Context, int) error { attempts++; return errDown })
							})
						}
						for range 20 * n {
							ask()
							time.Sleep(time.Millisecond)
						}
						attempts, asked = 0, 0
						const calls = 5000
						for range calls {
							ask()
							time.Sleep(10 * time.Millisecond)
						}
						if asked != calls*retries {
							t.Errorf("%d calls of the group", asked)
						}
						if float64(attempts) > 1.1*float64(asked)+10 || attempts < asked {
							t.Errorf("%d attempts for %d calls", attempts, asked)
						}
						settled(t, g.Snapshot())
					})
				})
			}
		}
	}
}

// When all have been down for long and one comes back, there is soon a success; and after that no call fails.
func TestOneComesBack(t *testing.T) {
	for _, balance := range balances {
		for _, n := range []int{2, 3, 10} {
			for k := range n {
				t.Run(fmt.Sprint(balance, n, k), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: balance, MaxEjectFor: 10 * time.Second})
						back := -1
						ask := func() error {
							time.Sleep(10 * time.Millisecond)
							return g.Run(t.Context(), func(_ context.Context, i int) error {
								if i == back {
									return nil
								}
								return errDown
							})
						}
						for range 2000 {
							_ = ask()
						}
						back = k
						failures, first := 0, false
						for range 3000 {
							switch err := ask(); {
							case err == nil:
								first = true
							case first:
								t.Fatalf("after a success: %v\n%+v", err, g.Snapshot())
							default:
								failures++
							}
						}
						if failures > 1001 {
							t.Errorf("%d failures before the first success", failures)
						}
					})
				})
			}
		}
	}
}

// A trial that never comes back, because its Lease was dropped or the call hangs, is given up after a while; should it come
// back yet, it does not end the one that has taken its place.
func TestTrialGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: 1})
		ask := func(errs ...error) {
			_ = g.Run(t.Context(), func(_ context.Context, i int) error { return errs[i] })
		}
		pick := func() failover.Lease[int] {
			l, err := g.Pick(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		ask(errDown, nil)
		time.Sleep(5 * time.Second)
		lost := pick()
		if lost.Value != 0 {
			t.Fatal("no trial")
		}
		time.Sleep(time.Minute - time.Nanosecond)
		other := pick()
		if other.Value != 1 {
			t.Error("another trial while one is under way")
		}
		other.Done(nil)
		time.Sleep(time.Nanosecond)
		again := pick()
		if again.Value != 0 {
			t.Error("a trial that was lost is the last one")
		}
		lost.Done(context.Canceled)
		other = pick()
		if other.Value != 1 {
			t.Error("a trial that was given up has ended another")
		}
		other.Done(nil)
		again.Done(nil)
		ask(nil, nil)
		ask(nil, nil)
		if s := g.Snapshot(); s.Targets[0].State != failover.Healthy {
			t.Errorf("%+v", s.Targets[0])
		}
		settled(t, g.Snapshot())
	})
}
