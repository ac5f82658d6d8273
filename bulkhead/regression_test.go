package bulkhead_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// A Rate that does not bind kept a standing queue in the order of coming, and nobody was shed.
func TestQueueTurnsUnderARate(t *testing.T) {
	for _, c := range []bulkhead.Config{{}, {Rate: 1e6}} {
		synctest.Test(t, func(t *testing.T) {
			c.Limit, c.Queue, c.Interval, c.Target = 1, 10, 100*time.Millisecond, 5*time.Millisecond
			b := bulkhead.MustNew(c)
			held := hold(t, b)
			old := waits(t.Context(), b)
			time.Sleep(200 * time.Millisecond)
			late := waits(t.Context(), b)
			held.Done(nil)
			if err := <-late; err != nil {
				t.Errorf("rate %v: the newest: %v", c.Rate, err)
			}
			if err := <-old; what(err) != "overload" {
				t.Errorf("rate %v: the oldest: %q, want overload", c.Rate, what(err))
			}
		})
	}
}

// The place of a call whose caller has cancelled was lost when the methods of the function's error panicked.
func TestRudeErrorAfterCancel(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	ctx, cancel := context.WithCancel(t.Context())
	got := panicOf(func() { b.Run(ctx, func(context.Context) error { cancel(); return rude{} }) })
	if got != "rude" {
		t.Errorf("recovered %v", got)
	}
	giveBack(takeAll(t, b, 1))
}

// turnsBad is a context of which one method panics once it has turned bad.
type turnsBad struct {
	context.Context
	method string
	bad    bool
}

func (c *turnsBad) panics(method string) {
	if c.bad && c.method == method {
		panic("boom")
	}
}

func (c *turnsBad) Err() error                  { c.panics("Err"); return c.Context.Err() }
func (c *turnsBad) Done() <-chan struct{}       { c.panics("Done"); return c.Context.Done() }
func (c *turnsBad) Deadline() (time.Time, bool) { c.panics("Deadline"); return c.Context.Deadline() }

// The place that a call was handed in the queue was lost when the context's Err panicked.
func TestContextPanicsAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		held := hold(t, b)
		ctx := &turnsBad{Context: t.Context(), method: "Err"}
		got := make(chan any)
		go func() { got <- panicOf(func() { b.Run(ctx, takes(0)) }) }()
		synctest.Wait()
		ctx.bad = true
		held.Done(nil)
		if v := <-got; v != "boom" {
			t.Errorf("recovered %v", v)
		}
		giveBack(takeAll(t, b, 1))
	})
}

// A key's place was lost when the context's methods panicked while the call asked for a place of the total.
func TestContextPanicsInTheTotal(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"Value":    panicsWhenAsked{t.Context()},
		"Done":     &turnsBad{t.Context(), "Done", true},
		"Deadline": &turnsBad{t.Context(), "Deadline", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyed(t, bulkhead.KeyedConfig{Total: 1, Config: bulkhead.Config{Limit: 1, Queue: 1}})
			held := hold(t, k.Get("a"))
			if got := panicOf(func() { k.Get("b").Run(ctx, takes(0)) }); got != "boom" {
				t.Errorf("recovered %v", got)
			}
			held.Done(nil)
			giveBack(takeAll(t, k.Get("b"), 1))
			if n := k.Total().Snapshot().InUse; n != 0 {
				t.Errorf("%d of the total in use", n)
			}
		})
	}
}

// A request's place was lost when its context's Err panicked, for whoever gave the place back asked it again.
func TestContextPanicsAfterTheHandler(t *testing.T) {
	for name, explodes := range map[string]bool{"returns": false, "panics": true} {
		t.Run(name, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
			ctx := &turnsBad{Context: t.Context(), method: "Err"}
			h := bulkhead.Handler(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if ctx.bad = true; explodes {
					panic(http.ErrAbortHandler)
				}
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
			if got := panicOf(func() { h.ServeHTTP(httptest.NewRecorder(), r) }); got != "boom" {
				t.Errorf("recovered %v", got)
			}
			giveBack(takeAll(t, b, 1))
		})
	}
}

// What had waited too long was shed though it matters more, and what matters less was let in after it.
func TestWhatMattersMoreIsNotShedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 10, Interval: 100 * time.Millisecond, Target: 5 * time.Millisecond})
		held := hold(t, b)
		l := &line{t: t, b: b, holds: time.Millisecond}
		l.join("login0", bulkhead.Critical, 0)
		l.join("login1", bulkhead.Critical, 0)
		l.join("login2", bulkhead.Critical, 0)
		time.Sleep(198 * time.Millisecond)
		l.join("prefetch0", bulkhead.Sheddable, 0)
		l.join("prefetch1", bulkhead.Sheddable, 0)
		time.Sleep(2 * time.Millisecond)
		held.Done(nil)
		time.Sleep(time.Second)
		l.want("all have room", "login2 login1 login0 prefetch0 prefetch1")
	})
}

// Who waited for the rate in a second bubble waited for a timer of the first, which had gone with it.
func TestWokenInTheSecondBubble(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 10, Rate: 0.1, Burst: 1})
	synctest.Test(t, func(t *testing.T) {
		hold(t, b).Done(nil)
		ctx, cancel := context.WithCancel(t.Context())
		result := waits(ctx, b)
		cancel()
		if err := <-result; what(err) != "ended" {
			t.Errorf("in the first: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := <-waits(ctx, b); err != nil {
			t.Errorf("in the second: %v", err)
		}
	})
}

// In a bubble, whose clock is years behind, a bulkhead that was used outside of it had no token for years.
func TestRateOutsideThenInABubble(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 10, Rate: 100, Burst: 1})
	hold(t, b).Done(nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		for i := range 3 {
			p, err := b.Acquire(ctx)
			if p.Done(nil); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if d := time.Since(start); d > 31*time.Millisecond {
			t.Errorf("three calls took %v, want at most 10ms each", d)
		}
		if _, err := b.TryAcquire(); what(err) != "rate" {
			t.Errorf("without a token: %v", err)
		}
	})
	for range 2 {
		hold(t, b).Done(nil) // and outside again
	}
}

// A queue full of those who wait for the rate was answered with 503, as though there were no place.
func TestHandlerQueueForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Queue: 1, Rate: 0.01, Burst: 1})
		h := bulkhead.Handler(b, http.HandlerFunc(served))
		get := func() int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			return w.Code
		}
		if code := get(); code != http.StatusOK {
			t.Errorf("the burst: %d", code)
		}
		waiting := make(chan int)
		go func() { waiting <- get() }()
		synctest.Wait()
		if code := get(); code != http.StatusTooManyRequests {
			t.Errorf("behind a full queue: %d, want 429", code)
		}
		if n := b.Snapshot().RefusedBy[bulkhead.ReasonRate]; n != 1 {
			t.Errorf("%d refused by the rate, want 1", n)
		}
		if code := <-waiting; code != http.StatusOK {
			t.Errorf("the one that waited: %d", code)
		}
	})
}

// A start outside of what Adaptive, or a Keyed's Total, allows was accepted.
func TestAdaptiveStartsWithin(t *testing.T) {
	const within, start = "want between Min and Max (default 20)", "want at most Adaptive.Max, or 0 for Adaptive's own start"
	for _, test := range []struct {
		config bulkhead.Config
		want   string
	}{
		{bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 5, Max: 10, Initial: 11}}, "Adaptive.Initial: 11: " + within},
		{bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 5, Max: 10, Initial: 4}}, "Adaptive.Initial: 4: " + within},
		{bulkhead.Config{Limit: 11, Adaptive: &bulkhead.Adaptive{Max: 10}}, "Limit: 11: " + start},
	} {
		_, err := bulkhead.New(test.config)
		wantFaults(t, err, "bulkhead.Config."+test.want)
	}
	_, err := bulkhead.NewKeyed[string](bulkhead.KeyedConfig{Total: 8, Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 9}}})
	wantFaults(t, err, "bulkhead.KeyedConfig.Adaptive.Initial: 9: want at most Total (8)")
}

// A limit that was large once left all its slots to be searched; those let go since keep their counts, and the limit holds.
func TestLoweredFarKeepsTheCounts(t *testing.T) {
	for _, inUse := range []int{0, 1, 50, 60} {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1000})
		all := takeAll(t, b, 1000)
		held := all[:inUse]
		giveBack(all[inUse:])
		resize(t, b, 50)
		if s := b.Snapshot(); s.Successes != uint64(1000-inUse) || s.InUse != inUse || s.Limit != 50 {
			t.Errorf("%d held, lowered: %+v", inUse, s)
		}
		giveBack(held)
		giveBack(takeAll(t, b, 50))
		resize(t, b, 1000)
		giveBack(takeAll(t, b, 1000))
		if s := b.Snapshot(); s.Successes != 2050 || s.Failures != 0 || s.InUse != 0 {
			t.Errorf("%d held, raised again: %+v", inUse, s)
		}
	}
}

// A request that was refused, and whose client went a moment later, is answered as the books have it: as refused. When the
// answer was decided by the context, silence and a refusal in the books met.
func TestRefusedThenCancelled(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	held, err := b.TryAcquire()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Done(nil)
	for looks := range 4 { // of the Handler's, before the context ends
		before := b.Snapshot()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(&endsWhenLookedAt{Context: t.Context(), looks: looks})
		bulkhead.Handler(b, http.NotFoundHandler()).ServeHTTP(w, r)
		after := b.Snapshot()
		if answered := w.Body.Len() > 0; answered != (after.Refused > before.Refused) || answered == (after.Ignored > before.Ignored) {
			t.Errorf("%d looks: answered %v, refused %d, ignored %d", looks, answered, after.Refused-before.Refused, after.Ignored-before.Ignored)
		}
	}
}

// endsWhenLookedAt is a context that ends after so many looks at it.
type endsWhenLookedAt struct {
	context.Context
	looks int
}

func (c *endsWhenLookedAt) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}
