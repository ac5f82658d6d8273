package bulkhead_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestNobodyIsLeftWhenTheTokenComes: the one that waited for it has gone, and the bulkhead is as free as it was.
func TestNobodyIsLeftWhenTheTokenComes(t *testing.T) {
	for _, limit := range []int{1, 4, 5, 9, 100} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: limit, Queue: 1, Rate: 10, Burst: 1})
			giveBack(takeRest(t, b, 0, 1))
			l := &line{t: t, b: b}
			leave := l.join("leaver", bulkhead.Normal, 0)
			time.Sleep(50 * time.Millisecond)
			leave()
			time.Sleep(time.Second)
			l.want("long before", "leaver:ended")
			for range limit + 1 {
				giveBack(takeRest(t, b, 0, 1))
				time.Sleep(time.Second)
			}
		})
	}
}

// TestRateInOrder: a burst, then one for each token; who came first, of those that matter most.
func TestRateInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 10, Rate: 10, Burst: 2})
		l := &line{t: t, b: b}
		for i := range 6 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 0)
		}
		l.join("critical", bulkhead.Critical, 0)
		l.want("the burst", "0 1")
		time.Sleep(100*time.Millisecond - 1)
		l.want("before the token", "")
		time.Sleep(time.Microsecond)
		l.want("one token", "critical")
		for i := 2; i < 6; i++ {
			time.Sleep(100 * time.Millisecond)
			l.want("a token later", fmt.Sprint(i))
		}
		time.Sleep(time.Hour) // more than the burst is not kept
		for i := range 4 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 0)
		}
		l.want("the burst", "0 1")
		time.Sleep(time.Second)
		l.want("a second later", "2 3")
		if s := b.Snapshot(); s.Successes != 11 || s.Refused != 0 || s.InUse != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestRateNobodyPasses: there is a token, but the one who waits for it has not been woken yet: half a microsecond is less
// than a timer's. Who comes then does not get it.
func TestRateNobodyPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 10, Rate: 2e6, Burst: 1})
		l := &line{t: t, b: b, holds: time.Hour}
		l.join("first", bulkhead.Normal, 2*time.Hour)
		l.join("waits", bulkhead.Normal, 2*time.Hour)
		time.Sleep(600 * time.Nanosecond)
		if _, err := b.TryAcquire(); what(err) != "rate" {
			t.Errorf("%q, want rate", what(err))
		}
		l.join("comes last", bulkhead.Sheddable, 2*time.Hour)
		l.want("at that moment", "first waits")
		time.Sleep(2 * time.Microsecond)
		l.want("then", "comes last")
		time.Sleep(2 * time.Hour)
	})
}

// TestRateCancelledAsTheTokenComes: it costs none, and the next has it.
func TestRateCancelledAsTheTokenComes(t *testing.T) {
	for _, burst := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 10, Rate: 1, Burst: burst})
			l := &line{t: t, b: b}
			held := takeRest(t, b, 0, 1)
			leave := l.join("leaver", bulkhead.Normal, 0)
			l.join("next", bulkhead.Normal, 0)
			time.Sleep(time.Second)
			leave()
			giveBack(held) // gives the place, and the token, to the one who leaves
			synctest.Wait()
			slices.Sort(l.fates)
			l.want("both at once", "leaver:ended next")
			for range burst - 1 {
				giveBack(takeRest(t, b, 0, 1))
			}
			if _, err := b.TryAcquire(); what(err) != "rate" {
				t.Errorf("burst %d: one more: %q", burst, what(err))
			}
			if s := b.Snapshot(); s.Ignored != 1 || s.Successes != uint64(burst+1) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestRateDefaultBurst is a second's worth, and at least one.
func TestRateDefaultBurst(t *testing.T) {
	for limit, want := range map[rate.Limit]int{0.1: 1, 1: 1, 1.5: 2, 5: 5, 99.5: 100} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1000, Rate: limit})
			all := takeRest(t, b, 0, want)
			if _, err := b.TryAcquire(); what(err) != "rate" {
				t.Errorf("rate %v: one more than %d: %q", limit, want, what(err))
			}
			giveBack(all)
		})
	}
}

// retryAfter is when to come back, as an error says.
func retryAfter(err error) time.Duration {
	var full *bulkhead.FullError
	if errors.As(err, &full) {
		return full.RetryAfter()
	}
	return -1
}

// TestRateRetryAfter: who comes back then gets in, and who comes just before does not.
func TestRateRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 10, Rate: 3, Burst: 1})
		giveBack(takeRest(t, b, 0, 1))
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			_, err := b.TryAcquire()
			after := retryAfter(err)
			if what(err) != "rate" || after <= 0 || after > time.Second/3 {
				t.Fatalf("%v: after %v", err, after)
			}
			time.Sleep(after - time.Microsecond)
			if _, err := b.TryAcquire(); what(err) != "rate" {
				t.Fatalf("a microsecond before: %q", what(err))
			}
			time.Sleep(time.Microsecond)
			giveBack(takeRest(t, b, 0, 1))
		}
		// Those who wait are before it.
		l := &line{t: t, b: b}
		for range 5 {
			l.join("waits", bulkhead.Normal, 0)
		}
		_, err := b.TryAcquire()
		after := retryAfter(err)
		if what(err) != "rate" || after < 2*time.Second-time.Microsecond || after > 2*time.Second+time.Microsecond {
			t.Errorf("behind five: %q, after %v, want 2 s", what(err), after)
		}
		time.Sleep(after)
		time.Sleep(10 * time.Nanosecond) // each may have had a nanosecond more than it takes
		giveBack(takeRest(t, b, 0, 1))
		l.want("all", "waits waits waits waits waits")
	})
}

// TestRateRefusedAtOnce: where the token comes after MaxWait, or so that the call would not be done in time.
func TestRateRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 100, Rate: 10, Burst: 1, MaxWait: 350 * time.Millisecond})
		l := &line{t: t, b: b, holds: 20 * time.Millisecond}
		l.join("it takes 20 ms", bulkhead.Normal, 0)
		time.Sleep(20 * time.Millisecond)
		l.join("in 80 ms", bulkhead.Normal, 0)
		l.join("in 180 ms, too late", bulkhead.Normal, 200*time.Millisecond-time.Microsecond)
		l.join("in 180 ms", bulkhead.Normal, 200*time.Millisecond+2*time.Microsecond)
		l.join("in 280 ms", bulkhead.Normal, 0)
		l.join("in 380 ms", bulkhead.Normal, 0)
		l.join("in 380 ms, too late", bulkhead.Normal, 300*time.Millisecond)
		l.want("at once", "it takes 20 ms in 180 ms, too late:deadline in 380 ms:rate in 380 ms, too late:deadline")
		time.Sleep(time.Second)
		l.want("then", "in 80 ms in 180 ms in 280 ms")
		if s := b.Snapshot(); s.Successes != 4 || s.RefusedBy[bulkhead.ReasonRate] != 1 || s.RefusedBy[bulkhead.ReasonDeadline] != 2 {
			t.Errorf("%+v", s)
		}
		if w := b.Snapshot().Waits.Max; w > 280*time.Millisecond+time.Microsecond {
			t.Errorf("one waited for %v", w)
		}
	})
}

// TestRateWithoutAQueue: nobody waits.
func TestRateWithoutAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Rate: 10, Burst: 2})
		first := takeRest(t, b, 0, 1)
		for range 10 { // what is refused for the place costs no token
			for _, err := range acquireBoth(b) {
				if what(err) != "full" {
					t.Fatalf("%q, want full", what(err))
				}
			}
		}
		giveBack(first)
		giveBack(takeRest(t, b, 0, 1))
		for range 10 { // what is refused for the rate costs no place
			for _, err := range acquireBoth(b) {
				if what(err) != "rate" {
					t.Fatalf("%q, want rate", what(err))
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
		giveBack(takeRest(t, b, 0, 1))
	})
}

func acquireBoth(b *bulkhead.Bulkhead) [2]error {
	p, err1 := b.Acquire(context.Background())
	q, err2 := b.TryAcquire()
	p.Done(nil)
	q.Done(nil)
	return [2]error{err1, err2}
}

// TestRateOnRealThreads: no more calls begin than are allowed, however many ask at once: of two who ask, the one who looked
// at the clock first may be the last to be counted.
func TestRateOnRealThreads(t *testing.T) {
	const limit, burst = 1000, 100
	for _, queue := range []int{0, 4} {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1000, Queue: queue, Rate: limit, Burst: burst})
		var begun atomic.Int64
		start := time.Now()
		atOnce(8, func(int) {
			for begun.Load() < 3*burst {
				p, err := b.TryAcquire()
				if err != nil && queue > 0 {
					p, err = b.Acquire(context.Background())
				}
				if err == nil {
					begun.Add(1)
				}
				p.Done(nil)
			}
		})
		// It may have taken longer than it should, but not less.
		if most := burst + 1 + int64(time.Since(start)*limit/time.Second); begun.Load() > most {
			t.Errorf("%d calls began in %v, want %d at most", begun.Load(), time.Since(start), most)
		}
	}
}

// TestRateGivenUpLeavesNothing: of calls that wait for a token and give up there is no timer left that waits for it.
func TestRateGivenUpLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 100, Rate: 1e-6, Burst: 1})
		giveBack(takeRest(t, b, 0, 1))
		giveUp := func(n int) uint64 {
			for range n {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Millisecond, cancel)
				if _, err := b.Acquire(ctx); what(err) != ended {
					t.Fatalf("%q, want ended", what(err))
				}
			}
			return heapInUse()
		}
		before := giveUp(100)
		const n = 10_000
		if after := giveUp(n); after > before+50*n {
			t.Errorf("the heap grew from %d to %d bytes, by %d a call", before, after, (after-before)/n)
		}
		runtime.KeepAlive(b)
	})
}

// TestRateVeryLow: a call in thirty years, or in so many that nobody can say.
func TestRateVeryLow(t *testing.T) {
	for _, limit := range []rate.Limit{1e-9, 1e-15, 1e-300, math.SmallestNonzeroFloat64} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 10, Rate: limit})
			giveBack(takeRest(t, b, 0, 1))
			_, err := b.TryAcquire()
			if after := retryAfter(err); what(err) != "rate" || after < 30*365*24*time.Hour {
				t.Errorf("rate %v: %q, after %v", limit, what(err), after)
			}
			l := &line{t: t, b: b}
			leave := l.join("has an hour", bulkhead.Normal, 0)
			l.want("at once", "has an hour:deadline")
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(24*time.Hour, cancel)
			if _, err := b.Acquire(ctx); what(err) != ended {
				t.Errorf("rate %v: %q", limit, what(err))
			}
			leave()
		})
	}
}

// TestRateVeryHigh: as many as there are places, at once.
func TestRateVeryHigh(t *testing.T) {
	for _, limit := range []rate.Limit{1e6, 1e9, 1e18, 1e300, rate.Inf} {
		for _, burst := range []int{0, 1, math.MaxInt32} {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 100, Rate: limit, Burst: burst})
				for range 3 {
					for range 50 {
						p, err := b.Acquire(t.Context())
						if err != nil {
							t.Fatalf("rate %v: %v", limit, err)
						}
						defer p.Done(nil)
					}
					if waited := b.Snapshot().Waits.Max; waited > 2*time.Microsecond {
						t.Fatalf("rate %v, burst %d: waited for %v", limit, burst, waited)
					}
					_, _ = b.TryAcquire()
					resize(t, b, 1000)
				}
			})
		}
	}
}

// TestRateNotANumber, and what else is none.
func TestRateNotANumber(t *testing.T) {
	for _, c := range []bulkhead.Config{
		{Limit: 1, Rate: rate.Limit(math.NaN())},
		{Limit: 1, Rate: rate.Limit(math.Inf(1))}, // rate.Inf is none
		{Limit: 1, Rate: -1},
		{Limit: 1, Rate: 1, Burst: -1},
		{Limit: 1, Burst: 1},
	} {
		if _, err := bulkhead.New(c); err == nil {
			t.Errorf("rate %v, burst %d: no error", c.Rate, c.Burst)
		}
	}
}

// rateEvent is something that happened to a call, as its caller saw it.
type rateEvent struct {
	at   time.Duration
	what string // arrives, granted, leaves, returns
	call int
	p    bulkhead.Priority
}

// rateTrace is what happens to calls through a bulkhead with a rate, at random.
type rateTrace struct {
	t      *testing.T
	b      *bulkhead.Bulkhead
	config bulkhead.Config
	start  time.Time
	fates  chan rateEvent
	events []rateEvent
	leave  []func()
	held   []bulkhead.Permit
	holder []int
	have   chan bulkhead.Permit
}

func (r *rateTrace) event(what string, call int, p bulkhead.Priority) rateEvent {
	return rateEvent{time.Since(r.start), what, call, p}
}

// step does something at random.
func (r *rateTrace) step(random *rand.Rand) {
	switch n := random.IntN(10); {
	case n < 4:
		call, p := len(r.leave), bulkhead.Priority(random.IntN(3)-1)
		ctx, cancel := context.WithCancel(bulkhead.WithPriority(context.Background(), p))
		r.leave = append(r.leave, cancel)
		r.events = append(r.events, r.event("arrives", call, p))
		go func() {
			permit, err := r.b.Acquire(ctx)
			if err == nil {
				r.have <- permit
				r.fates <- r.event(granted, call, p)
			} else {
				r.fates <- r.event(what(err), call, p)
			}
		}()
	case n < 5 && len(r.leave) > 0:
		r.leave[len(r.leave)-1-random.IntN(min(len(r.leave), 5))]()
	case n < 8 && len(r.held) > 0:
		i := random.IntN(len(r.held))
		r.events = append(r.events, r.event("returns", r.holder[i], 0))
		r.held[i].Done(nil)
		r.held, r.holder = slices.Delete(r.held, i, i+1), slices.Delete(r.holder, i, i+1)
	default:
		time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
	}
	r.collect()
}

// collect collects what has happened since.
func (r *rateTrace) collect() {
	synctest.Wait()
	var events []rateEvent
	for len(r.fates) > 0 {
		e := <-r.fates
		events = append(events, e)
		if e.what == granted {
			r.held, r.holder = append(r.held, <-r.have), append(r.holder, e.call)
		}
	}
	slices.SortFunc(events, func(a, b rateEvent) int { // of what happened at one moment the order is not to be seen
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.what, b.what), cmp.Compare(b.p, a.p), cmp.Compare(a.call, b.call))
	})
	r.events = append(r.events, events...)
}

// check replays the trace with a bucket of tokens: no call was granted without one; and at no moment did somebody wait while
// there was a token, and a place.
func (r *rateTrace) check() error {
	token := time.Duration(float64(time.Second) / float64(r.config.Rate))
	const slack = 2 * time.Microsecond // tokens are fractions
	bucket := time.Duration(r.config.Burst) * token
	now, inUse := time.Duration(0), 0
	var waiting []rateEvent
	for i, e := range r.events {
		passed := e.at - now
		idle := len(waiting) > 0 && inUse < r.config.Limit && passed > max(token-bucket, 0)+slack
		bucket, now = min(bucket+passed, time.Duration(r.config.Burst)*token), e.at
		switch {
		case idle:
			return fmt.Errorf("event %d: %v: %d waited while there was a token and a place", i, e, len(waiting))
		case e.what == "arrives":
			waiting = append(waiting, e)
			continue
		case e.what == "returns":
			inUse--
			continue
		}
		at := slices.IndexFunc(waiting, func(w rateEvent) bool { return w.call == e.call })
		turn := slices.IndexFunc(waiting, func(w rateEvent) bool { return w.p > e.p || w.p == e.p && w.call < e.call })
		waiting = slices.Delete(waiting, at, at+1)
		if e.what != granted {
			continue
		}
		inUse++
		if bucket -= token; bucket < -slack || inUse > r.config.Limit || turn >= 0 {
			return fmt.Errorf("event %d: %v: %v short of a token, %d in use, before %d in the queue", i, e, -bucket, inUse, turn)
		}
	}
	return nil
}

// TestRateTrace: a wait that is given up, in the middle of others too, costs no token; nor does a token come to nobody while
// somebody waits; in the order of their coming, by priority, and with places that are scarce also.
func TestRateTrace(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			c := bulkhead.Config{
				Limit: []int{1, 3, 100}[seed%3], Queue: 1000, Interval: -1,
				Rate: rate.Limit(50 + 200*random.Float64()), Burst: 1 + random.IntN(4),
			}
			r := &rateTrace{
				t: t, b: bulkhead.MustNew(c), config: c, start: time.Now(),
				fates: make(chan rateEvent, 1000), have: make(chan bulkhead.Permit, 1000),
			}
			for range 300 {
				r.step(random)
			}
			for len(r.held) > 0 || r.b.Snapshot().Queued > 0 {
				giveBack(r.held)
				for _, call := range r.holder {
					r.events = append(r.events, r.event("returns", call, 0))
				}
				r.held, r.holder = nil, nil
				time.Sleep(time.Second)
				r.collect()
			}
			if err := r.check(); err != nil {
				t.Errorf("seed %d: %+v: %v", seed, c, err)
			}
		})
	}
}
