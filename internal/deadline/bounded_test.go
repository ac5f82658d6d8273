package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestBoundedEnds as one of package context's does, however much of it was asked for before, and all that is derived from it.
func TestBoundedEnds(t *testing.T) {
	errGone := errors.New("gone")
	for name, c := range map[string]struct {
		end     func(b *deadline.Bounded, cancelParent context.CancelCauseFunc)
		err     error
		cause   error
		expired bool
	}{
		"limit":  {func(*deadline.Bounded, context.CancelCauseFunc) { time.Sleep(time.Second) }, context.DeadlineExceeded, context.DeadlineExceeded, true},
		"Cancel": {func(b *deadline.Bounded, _ context.CancelCauseFunc) { b.Cancel() }, context.Canceled, context.Canceled, false},
		"parent": {func(_ *deadline.Bounded, cancel context.CancelCauseFunc) { cancel(errGone) }, context.Canceled, errGone, false},
		"Cancel, then all": {func(b *deadline.Bounded, cancel context.CancelCauseFunc) {
			b.Cancel()
			cancel(errGone)
			time.Sleep(time.Second)
		}, context.Canceled, context.Canceled, false},
		"the parent, and the limit": {func(_ *deadline.Bounded, cancel context.CancelCauseFunc) {
			cancel(errGone)
			time.Sleep(time.Second)
		}, context.Canceled, errGone, false},
		"the limit, and Cancel": {func(b *deadline.Bounded, _ context.CancelCauseFunc) {
			time.Sleep(time.Second)
			synctest.Wait()
			b.Cancel()
		}, context.DeadlineExceeded, context.DeadlineExceeded, true},
		"Release does nothing": {func(b *deadline.Bounded, _ context.CancelCauseFunc) {
			b.Release()
			time.Sleep(time.Second)
		}, context.DeadlineExceeded, context.DeadlineExceeded, true},
	} {
		for _, asked := range []bool{false, true} {
			for kind, wrap := range map[string]func(context.Context) context.Context{
				"std":    func(ctx context.Context) context.Context { return ctx },
				"values": func(ctx context.Context) context.Context { return context.WithValue(ctx, t, t) },
				"ours":   func(ctx context.Context) context.Context { return deadline.New(ctx, time.Time{}) },
				"values over ours": func(ctx context.Context) context.Context {
					return context.WithValue(deadline.New(ctx, time.Time{}), t, t)
				},
				"ours, released": func(ctx context.Context) context.Context {
					above := deadline.New(ctx, time.Time{})
					above.Release()
					return context.WithValue(above, t, t)
				},
			} {
				t.Run(fmt.Sprintf("%s, asked: %v, below %s", name, asked, kind), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						parent, cancel := context.WithCancelCause(t.Context())
						defer cancel(nil)
						b := deadline.NewBounded(wrap(parent), time.Now().Add(time.Second))
						all := []context.Context{b, context.WithValue(b, valueKey{}, 1)}
						if asked {
							before := goroutines()
							std, stop := context.WithCancel(b)
							defer stop()
							ours := deadline.New(b, time.Now().Add(time.Hour))
							ours.Done()
							again := deadline.NewBounded(ours, time.Now().Add(time.Hour))
							again.Done()
							defer again.Cancel()
							all = append(all, std, ours, again)
							if n := goroutines() - before; n != 0 {
								t.Errorf("%d goroutines more", n)
							}
						}
						for i, ctx := range all {
							if ctx.Err() != nil || asked && isDone(ctx) {
								t.Errorf("context %d has ended: %v", i, ctx.Err())
							}
						}
						c.end(b, cancel)
						synctest.Wait()
						for i, ctx := range all {
							if ctx.Err() != c.err || !isDone(ctx) || context.Cause(ctx) != c.cause {
								t.Errorf("context %d: %v, cause %v, Done is closed: %v", i, ctx.Err(), context.Cause(ctx), isDone(ctx))
							}
						}
						if b.Expired() != c.expired {
							t.Errorf("Expired is %v", b.Expired())
						}
					})
				})
			}
		}
	}
}

// TestBoundedDeadline is the earlier one, and whose it is.
func TestBoundedDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for limit, own := range map[time.Duration]bool{time.Second / 2: true, time.Second: false, time.Hour: false} {
			b := deadline.NewBounded(parent, time.Now().Add(limit))
			if d, ok := b.Deadline(); !ok || !d.Equal(time.Now().Add(min(limit, time.Second))) {
				t.Errorf("%v: %v, %v", limit, d, ok)
			}
			b.Done()
			time.AfterFunc(time.Second+1, func() {
				if b.Err() != context.DeadlineExceeded || b.Expired() != own {
					t.Errorf("%v: %v, Expired is %v", limit, b.Err(), b.Expired())
				}
			})
			defer b.Cancel()
		}
		if b := deadline.NewBounded(t.Context(), time.Now().Add(time.Hour)); b.Value(valueKey{}) != nil || b.Err() != nil {
			t.Error("a value from nowhere")
		}
		time.Sleep(time.Minute)
	})
}

// TestBoundedBelowOneThatIsReleased: a limit above it that has stopped is not its own.
func TestBoundedBelowOneThatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		above := deadline.New(t.Context(), time.Now().Add(time.Second))
		b := deadline.NewBounded(context.WithValue(above, t, t), time.Now().Add(time.Minute))
		defer b.Cancel()
		before := goroutines()
		b.Done()
		if n := goroutines() - before; n != 0 {
			t.Errorf("%d goroutines more", n)
		}
		above.Release()
		time.Sleep(2 * time.Second)
		if b.Err() != nil {
			t.Error("it ended with a limit that was released: ", b.Err())
		}
		time.Sleep(time.Minute)
		if b.Err() != context.DeadlineExceeded || !b.Expired() {
			t.Errorf("%v, Expired is %v, want its own limit", b.Err(), b.Expired())
		}
	})
}

// TestBoundedAtOnce: all see one end.
func TestBoundedAtOnce(t *testing.T) {
	for round := range 500 {
		parent, cancel := context.WithCancelCause(t.Context())
		b := deadline.NewBounded(parent, time.Now().Add(time.Duration(round)*time.Microsecond))
		var mu sync.Mutex
		seen := map[error]bool{}
		var wg sync.WaitGroup
		for g := range 20 {
			wg.Go(func() {
				switch {
				case g == 5 && round%3 == 0:
					cancel(errLost)
				case g == 7 && round%5 == 0:
					b.Cancel()
				case g%4 == 0:
					b.Done()
				case g%4 == 1:
					_ = b.String()
				}
				if err := b.Err(); err != nil {
					if !isDone(b) {
						t.Errorf("Err is %v and Done is open", err)
					}
					mu.Lock()
					seen[err] = true
					mu.Unlock()
				}
				if b.Expired() && b.Err() != context.DeadlineExceeded {
					t.Error("expired, and", b.Err())
				}
			})
		}
		wg.Wait()
		b.Cancel()
		seen[b.Err()] = true
		cancel(nil)
		if b.Err() == nil || len(seen) != 1 {
			t.Errorf("round %d: %v", round, seen)
		}
	}
}

// TestBoundedCost: nothing is armed for who does not ask.
func TestBoundedCost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	limit := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		life          func(*deadline.Bounded)
		allocs, bytes float64
	}{
		"Cancel":       {(*deadline.Bounded).Cancel, 1, 80},
		"Err, Cancel":  {func(b *deadline.Bounded) { _ = b.Err(); b.Cancel() }, 1, 80},
		"Done, Cancel": {func(b *deadline.Bounded) { b.Done(); b.Cancel() }, 6, 464}, // five of them package context's
	} {
		allocs, bytes := costPerRun(func() { c.life(deadline.NewBounded(parent, limit)) })
		if allocs > c.allocs || bytes > c.bytes && math.MaxUint == math.MaxUint64 {
			t.Errorf("%s: %v allocations, %v bytes, want %v, %v", name, allocs, bytes, c.allocs, c.bytes)
		}
	}
}
