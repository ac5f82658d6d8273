package contract_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// failoverDiffers are the rows that are different in all doors of a group.
var failoverDiffers = map[contract.Row]contract.Difference{
	contract.EndsWaiting: {Why: "a failover does not wait after a failure: it goes on at once, unless the caller has gone", Instead: endsBetween},
	contract.CannotBeMet: {Why: "a failover does not wait after a failure: there is nothing to sleep towards", Instead: triesAllAtOnce},
	contract.EndsQueued:  {Why: "a failover never waits: there is a target or there is none", Instead: noQueue},
	contract.UnmetQueued: {Why: "a failover never waits: there is a target or there is none", Instead: noQueue},
	contract.RefusedBelow: {
		Why:     "what one target refuses another may do: a call goes on at once, at no cost to the budget",
		Instead: refusedByEach,
	},
	contract.DoneTwice: {Why: "places at a target are counted, and not limited: nobody is refused one", Instead: spentLeases},
	contract.NeverDone: {
		Why:     "a lease that is dropped counts as a call under way for ever, as documented; were it a trial, there is another after a while",
		Instead: underWayForEver,
	},
}

// pickDiffers are the cells that are different in a Pick.
var pickDiffers = map[contract.Row]contract.Difference{
	contract.Cancelled: {
		Why:     "Pick's context is for the choice: the error given to Done has to say that the caller cancelled",
		Instead: saidToDone,
	},
	contract.NilFunc:      {Why: "Pick takes no function", Instead: nothing},
	contract.EndsWaiting:  {Why: onePick, Instead: neverWaits},
	contract.CannotBeMet:  {Why: onePick, Instead: neverWaits},
	contract.RefusedBelow: {Why: onePick, Instead: oneAttempt},
	contract.Panics:       {Why: onePick, Instead: oneAttempt},
	contract.Goexits:      {Why: onePick, Instead: oneAttempt},
	contract.LivesOn:      {Why: onePick, Instead: oneAttempt},
	contract.AllFail:      {Why: onePick, Instead: oneAttempt},
}

const onePick = "a Pick chooses one target: what fails there is the caller's to repeat"

// oneAttempt is the row of a door that makes one attempt.
func oneAttempt(t *testing.T, c *contract.Cell) {
	d := *c
	d.Policy.New = func(t testing.TB, s contract.Setup) *contract.Instance {
		in := c.Policy.New(t, s)
		in.Attempts = 1
		return in
	}
	contract.AsRow(t, &d)
}

// failoverInStack puts in what is different in a stack because there is a failover in it.
func failoverInStack(order []string, differs map[contract.Row]contract.Difference) {
	differs[contract.RefusedBelow] = failoverDiffers[contract.RefusedBelow]
	if slices.Index(order, "bulkhead") > slices.Index(order, "failover") {
		differs[contract.UnmetQueued] = contract.Difference{
			Why:     "each target is asked; each says at once that it is no use to wait",
			Instead: unmetByEach,
		}
		if !slices.Contains(order, "hedge") {
			differs[contract.Dropped] = contract.Difference{
				Why:     "a token is taken before a response is dropped: it does not come back if that goes wrong, in a bulkhead whose place the response had",
				Instead: exceptForTokens,
			}
		}
	}
	if hedge := slices.Index(order, "hedge"); hedge < 0 || hedge > slices.Index(order, "failover") {
		return
	}
	const why = "the hedge's first attempt counts, and of that the last target"
	differs[contract.AllFail] = contract.Difference{Why: why, Instead: firstGroupFails}
	differs[contract.HTTPLastResponse] = contract.Difference{Why: why, Instead: contract.ResponseBefore(2 * targets)}
}

// endsBetween: when the context ends while an attempt fails there is no other one, and the error says both why and what came
// before. It is the caller's doing if that cancelled.
func endsBetween(t *testing.T, c *contract.Cell) {
	ends := map[string]func(*testing.T) (context.Context, func()){
		"cancelled": func(t *testing.T) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(t.Context())
			return ctx, func() { cancel(errCause) }
		},
		"past its deadline": func(t *testing.T) (context.Context, func()) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
			t.Cleanup(cancel)
			return ctx, func() { time.Sleep(2 * time.Second) }
		},
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			s := c.Fresh(t, contract.Setup{})
			ctx, end := end(t)
			var ended time.Time
			var all []error
			v, err := s.Call(ctx, func(context.Context) (int, error) {
				all = append(all, s.Door.Failure(len(all)))
				if len(all) == 2 {
					end()
					ended = time.Now()
				}
				return 100 + len(all), all[len(all)-1]
			})
			if len(all) != 2 || !ended.Equal(time.Now()) {
				t.Errorf("%s: fn ran %d times, and it took another %v; want 2, and none", name, len(all), time.Since(ended))
			}
			want := []error{errCause, ctx.Err()}
			if !s.Door.HTTP {
				want = append(want, all...)
			}
			for _, w := range want {
				if !errors.Is(err, w) {
					t.Errorf("%s: %v: errors.Is does not find %v in it", name, err, w)
				}
			}
			if want := 102; v != want && !s.Door.HTTP { // who has gone gets no response
				t.Errorf("%s: the value is %d, want the last, %d", name, v, want)
			}
			wantTried(t, err, "a", "b")
			books := contract.Books{Ignored: 1}
			if ctx.Err() == context.DeadlineExceeded {
				books = contract.Books{Failures: 1}
			}
			if got := s.Layers[0].Books(); got != books {
				t.Errorf("%s: books are %+v, want %+v", name, got, books)
			}
			s.Settled()
			s.Passes()
			s.Settled()
		})
	}
}

// wantTried checks which targets an error tells of, each once.
func wantTried(t *testing.T, err error, want ...string) {
	t.Helper()
	var failed *failover.Error
	if !errors.As(err, &failed) {
		t.Errorf("%v: there is no *failover.Error in it", err)
		return
	}
	var got []string
	for _, tried := range failed.Tried {
		got = append(got, tried.Target)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%v: it tells of %v, want %v", err, got, want)
	}
}

// triesAllAtOnce: no time passes between attempts, however soon the deadline; the error has all that came of them.
func triesAllAtOnce(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var all []error
		_, err := s.Call(ctx, func(context.Context) (int, error) {
			all = append(all, &failureOf{len(all)})
			return 5, all[len(all)-1]
		})
		if len(all) != s.Attempts || time.Since(start) != 0 {
			t.Errorf("%d attempts in %v, want %d at once", len(all), time.Since(start), s.Attempts)
		}
		for _, want := range append(all, failover.ErrTries) {
			if !errors.Is(err, want) {
				t.Errorf("%v: errors.Is does not find %v in it", err, want)
			}
		}
		wantTried(t, err, "a", "b", "c")
		s.Settled()
	})
}

type failureOf struct{ attempt int }

func (*failureOf) Error() string { return "the dependency failed" }

// refused is what a policy below fails with that has not called anybody.
type refused struct{}

func (*refused) Error() string { return "refused below" }
func (*refused) Refused() bool { return true }

// refusedByEach: each target is asked once; what all have refused is a refusal, and costs no token. A policy above does not
// repeat it.
func refusedByEach(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		below, ran, tokens := new(refused), 0, tokensOf(s)
		_, err := s.Call(t.Context(), func(context.Context) (int, error) { ran++; return 0, below })
		if ran != targets {
			t.Errorf("fn ran %d times, want %d: once for each target", ran, targets)
		}
		wantRefusedByEach(t, s, err, below, len(s.Layers), tokens)
		s.Passes()

		s = c.Fresh(t, contract.Setup{})
		queue := slices.IndexFunc(s.Layers, func(l contract.Layer) bool { return l.Fill != nil })
		if queue < 0 {
			return
		}
		tokens = tokensOf(s)
		empty := s.Fill()
		_, err = s.Call(t.Context(), never(t))
		wantRefusedByEach(t, s, err, c.Policy.Full, queue, tokens)
		empty()
		s.Passes()
		s.Settled()
	})
}

// wantRefusedByEach checks what the layers above have made of the refusals: one down to the group, and below it as many as
// there are targets.
func wantRefusedByEach(t *testing.T, s *contract.Subject, err, want error, above int, tokens float64) {
	t.Helper()
	synctest.Wait()
	if !errors.Is(err, want) {
		t.Errorf("%v: errors.Is does not find %v in it", err, want)
	}
	if r, ok := err.(interface{ Refused() bool }); !ok || !r.Refused() {
		t.Errorf("%v does not say that it is a refusal", err)
	}
	times, inside := uint64(1), false
	for _, l := range s.Layers[:above] {
		if inside {
			times = targets
		}
		inside = inside || l.Label == failoverLabel
		want := contract.Books{Failures: times * l.Refusal.Failures, Ignored: times * l.Refusal.Ignored}
		if b := l.Books(); b != want {
			t.Errorf("%s: books are %+v, want %+v", l.Label, b, want)
		}
	}
	if inside { // else the refusal is from above
		wantTried(t, err, "a", "b", "c")
	}
	if got := tokensOf(s); got != tokens {
		t.Errorf("%v tokens were spent on what was refused", tokens-got)
	}
}

// unmetByEach: as the row, but that each target refuses.
func unmetByEach(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		slow := func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil }
		if _, err := s.Call(t.Context(), slow); err != nil { // so it is known how long they take
			t.Fatal(err)
		}
		empty, start := s.Fill(), time.Now()
		soon, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := s.Call(soon, never(t))
		if !errors.Is(err, c.Policy.Full) || !c.Policy.Hopeless(err) || time.Since(start) != 0 {
			t.Errorf("%v after %v; want %v at once, because of the deadline", err, time.Since(start), c.Policy.Full)
		}
		wantTried(t, err, "a", "b", "c")
		queue := slices.IndexFunc(s.Layers, func(l contract.Layer) bool { return l.Fill != nil })
		if b := s.Layers[queue].Books(); b.Refused != targets {
			t.Errorf("books are %+v, want %d refused", b, targets)
		}
		enough, stop := context.WithTimeout(t.Context(), 3*time.Minute)
		defer stop()
		served := make(chan error, 1)
		go func() {
			_, err := s.Call(enough, slow)
			served <- err
		}()
		synctest.Wait()
		empty()
		if err := <-served; err != nil {
			t.Errorf("a call that can be done before its deadline: %v", err)
		}
		s.Settled()
	})
}

// exceptForTokens is the row, but that the budgets are not looked at where a bulkhead's callback goes wrong.
func exceptForTokens(t *testing.T, c *contract.Cell) {
	d := *c
	d.Policy.Callbacks = slices.Clone(c.Policy.Callbacks)
	for i, cb := range c.Policy.Callbacks {
		if !strings.HasPrefix(cb.Name, "bulkhead") {
			continue
		}
		d.Policy.Callbacks[i].New = func(t testing.TB, hook func()) *contract.Instance {
			in := cb.New(t, hook)
			for i := range in.Layers {
				in.Layers[i].Tokens = nil
			}
			return in
		}
	}
	contract.AsRow(t, &d)
}

func tokensOf(s *contract.Subject) (sum float64) {
	for _, l := range s.Layers {
		if l.Tokens != nil {
			sum += l.Tokens()
		}
	}
	return sum
}

// spentLeases: the second Done does nothing, whether it comes later, at the same time, or of a copy; nor to another lease that
// has been given the same memory.
func spentLeases(t *testing.T, c *contract.Cell) {
	for _, setup := range []contract.Setup{{}, {OnePlace: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := c.Fresh(t, setup)
			places := s.Layers[0].Places
			take := func() (done, copied func(error)) {
				done, copied, err := s.Take()
				if err != nil {
					t.Fatal(err)
				}
				return done, copied
			}
			done, copied := take()
			done(nil)
			next, _ := take()
			state := s.State()
			done(errDependency)
			copied(errDependency)
			if places() != 1 || s.State() != state {
				t.Errorf("%d leases are out, want the next one; the state was %s, and is %s", places(), state, s.State())
			}
			next(nil)
			s.WantBooks(contract.Books{Successes: 2})

			s = c.Fresh(t, setup)
			places = s.Layers[0].Places
			done, copied = take()
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { done(nil) })
				all.Go(func() { copied(nil) })
			}
			all.Wait()
			s.WantBooks(contract.Books{Successes: 1})
			if places() != 0 {
				t.Errorf("%d leases are out, want none", places())
			}
			s.Passes()
			s.WantBooks(contract.Books{Successes: 2})
		})
	}
}

// underWayForEver: a lease that is lost hinders no call, but for those that would try the same target, and them no longer than
// a trial may take. Done ends it, whenever it comes.
func underWayForEver(t *testing.T, c *contract.Cell) {
	for _, setup := range []contract.Setup{{}, {OnePlace: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := c.Fresh(t, setup)
			done, _, err := s.Take()
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Call(t.Context(), func(context.Context) (int, error) { return 7, nil })
			if setup.OnePlace != errors.Is(err, failover.ErrNoTarget) || !setup.OnePlace && err != nil {
				t.Errorf("one place %v: %v", setup.OnePlace, err)
			}
			time.Sleep(longestTrial)
			s.Passes()
			time.Sleep(1000 * time.Hour)
			runtime.GC()
			runtime.GC()
			if n := s.Layers[0].Places(); n != 1 {
				t.Errorf("%d calls are under way, want the one that was lost", n)
			}
			state := s.State()
			done(errDependency)
			if n := s.Layers[0].Places(); n != 0 || s.State() != state {
				t.Errorf("%d calls are under way, want none; the state was %s, and is %s", n, state, s.State())
			}
			s.Passes()
		})
	}
}

// longestTrial is when the trial of a lost lease is given up.
const longestTrial = 30 * time.Second

// firstGroupFails: all attempts of a hedge fail at all targets. Under a retry it is the last such call that counts.
func firstGroupFails(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{Attempts: targets})
		var all []error
		v, err := s.Call(t.Context(), func(context.Context) (int, error) {
			all = append(all, s.Door.Failure(len(all)))
			return 100 + len(all), all[len(all)-1]
		})
		if len(all) != s.Attempts {
			t.Fatalf("fn ran %d times, want %d", len(all), s.Attempts)
		}
		first := len(all) - 2*targets - 1
		if v != 100+first+1 || !errors.Is(err, all[first]) {
			t.Errorf("got %d, %v; want the value and the error of attempt %d", v, err, first+1)
		}
		if !s.Door.HTTP {
			for _, other := range all[first-targets+1:] {
				if !errors.Is(err, other) {
					t.Errorf("%v: errors.Is does not find %v in it", err, other)
				}
			}
		}
		if b := s.Layers[0].Books(); b != (contract.Books{Failures: 1}) {
			t.Errorf("books are %+v, want one failure", b)
		}
		s.Settled()
	})
}
