package bulkhead_test

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// TestSnapshot follows a bulkhead through what there is to be seen.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 2, Queue: 3})
		want := bulkhead.Snapshot{Name: "slots", Limit: 2, QueueLimit: 3}
		check := func(when string) {
			t.Helper()
			s := b.Snapshot()
			if late := time.Until(s.At); late < 0 || late > time.Microsecond { // the clock inside begins at 1
				t.Errorf("%s: at %v, want %v", when, s.At, time.Now())
			}
			want.At = s.At
			if !reflect.DeepEqual(s, want) {
				t.Errorf("%s:\ngot  %+v\nwant %+v", when, s, want)
			}
		}
		check("new")

		_ = b.Run(t.Context(), takes(10*time.Millisecond))
		want.Successes, want.Calls = 1, bulkhead.Calls{Mean: 10 * time.Millisecond, Median: 10 * time.Millisecond}
		check("a success")
		_ = b.Run(t.Context(), func(context.Context) error { return errShutdown })
		want.Failures = 1
		_ = b.Run(t.Context(), func(context.Context) error { return context.Canceled })
		want.Ignored = 1
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.Run(over, takes(0))
		want.Ignored = 2
		func() {
			defer func() { _ = recover() }()
			_ = b.Run(t.Context(), func(context.Context) error { panic("boom") })
		}()
		want.Failures = 2
		s := b.Snapshot()
		want.Calls = s.Calls // of which of them it was, a sample knows
		check("each outcome")

		held, _ := fillUp(t, b)
		want.InUse, want.Refused, want.RefusedBy = 2, 1, map[bulkhead.Reason]uint64{bulkhead.ReasonFull: 1}
		check("full")
		all := []<-chan error{waits(t.Context(), b), waits(t.Context(), b), waits(t.Context(), b)}
		want.Queued = 3
		check("queueing")
		_ = b.Run(t.Context(), takes(0))
		want.Refused, want.RefusedBy[bulkhead.ReasonQueue] = 2, 1
		check("the queue is full")
		if err := b.Resize(1); err != nil {
			t.Fatal(err)
		}
		want.Limit = 1
		check("lowered below what is in use")
		time.Sleep(200 * time.Millisecond)
		want.Standing = true
		check("a queue that does not keep up")

		done(held)
		for _, result := range all {
			<-result
		}
		synctest.Wait()
		s = b.Snapshot()
		if s.InUse != 0 || s.Queued != 0 || s.Standing || s.Waited != 3 || s.Successes+s.Refused != 1+2+2+3 {
			t.Errorf("in the end %+v", s)
		}
		if s.Waits.Max != 200*time.Millisecond || s.Waits.P50 < 175*time.Millisecond || s.Waits.P99 > s.Waits.Max {
			t.Errorf("waits %+v, all of 200ms", s.Waits)
		}
		time.Sleep(3 * time.Minute)
		if s := b.Snapshot(); s.Waits != (bulkhead.Waits{}) || s.Waited != 3 || s.At.Sub(start) < 3*time.Minute {
			t.Errorf("minutes later %+v", s)
		}
	})
}

// TestSnapshotWaits: the quantiles are right to within an eighth, and of the last minutes alone.
func TestSnapshotWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1000, Interval: -1})
		wait := func(n int, step time.Duration) {
			held := hold(t, b)
			var all sync.WaitGroup
			for i := range n {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Duration(i+1)*step, cancel) // not told before: nobody is refused at once
				all.Go(func() { _ = b.Run(ctx, takes(0)) })
			}
			all.Wait()
			held.Done(nil)
		}
		check := func(unit time.Duration) {
			t.Helper()
			w := b.Snapshot().Waits
			for _, q := range []struct{ got, want time.Duration }{{w.P50, 50 * unit}, {w.P90, 90 * unit}, {w.P99, 99 * unit}} {
				if q.got < q.want*7/8 || q.got > q.want*9/8 {
					t.Errorf("%v, want %v: %+v", q.got, q.want, w)
				}
			}
			if w.Max != 100*unit {
				t.Errorf("the longest of 100 %v is %v", unit, w.Max)
			}
		}
		wait(100, time.Millisecond)
		check(time.Millisecond)
		time.Sleep(10 * time.Minute)
		wait(100, 20*time.Microsecond)
		check(20 * time.Microsecond)
	})
}

func TestSnapshotJSON(t *testing.T) {
	full := bulkhead.Snapshot{
		Name: "slots", At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), InUse: 1, Limit: 2, Queued: 3, QueueLimit: 4, Standing: true,
		Successes: 5, Failures: 6, Ignored: 7, Refused: 8, RefusedBy: map[bulkhead.Reason]uint64{}, Waited: 9,
		Waits: bulkhead.Waits{P50: time.Millisecond, P90: time.Second, P99: time.Minute, Max: time.Hour},
		Calls: bulkhead.Calls{Mean: 1500 * time.Microsecond, Median: 1},
	}
	for r := bulkhead.ReasonFull; r < bulkhead.ReasonEnded; r++ {
		full.RefusedBy[r] = uint64(r) + 1
	}
	const text = `{"name":"slots","at":"2026-01-02T03:04:05.000000006Z","in_use":1,"limit":2,"queued":3,"queue_limit":4,"standing":true,` +
		`"successes":5,"failures":6,"ignored":7,"refused":8,` +
		`"refused_by":{"deadline":5,"full":1,"max_wait":3,"overload":4,"priority":6,"queue_full":2,"rate":7,"total":8},` +
		`"waited":9,"waits":{"p50":"1ms","p90":"1s","p99":"1m0s","max":"1h0m0s"},"calls":{"mean":"1.5ms","median":"1ns"}}`
	data, err := json.Marshal(full)
	if err != nil || string(data) != text {
		t.Errorf("%s, %v, want\n%s", data, err, text)
	}
	for _, s := range []bulkhead.Snapshot{full, {}, bulkhead.MustNew(bulkhead.Config{Limit: 3}).Snapshot()} {
		data, err := json.Marshal(s)
		var again bulkhead.Snapshot
		if err != nil || json.Unmarshal(data, &again) != nil {
			t.Fatalf("%s, %v", data, err)
		}
		if !s.At.Equal(again.At) {
			t.Errorf("at %v, was %v", again.At, s.At)
		}
		if again.At = s.At; !reflect.DeepEqual(s, again) { // a time that was read has no monotonic clock
			t.Errorf("%+v became %+v by way of %s", s, again, data)
		}
	}
	var s bulkhead.Snapshot
	if err := json.Unmarshal([]byte(`{"refused_by": {"because": 1}}`), &s); err == nil {
		t.Error("a reason that nobody knows was read")
	}
	if data, _ := json.Marshal(bulkhead.Snapshot{}); len(data) > 250 {
		t.Errorf("an empty one is %s", data)
	}
}

func TestSnapshotOfNil(t *testing.T) {
	var none *bulkhead.Bulkhead
	if s := none.Snapshot(); !reflect.DeepEqual(s, bulkhead.Snapshot{}) {
		t.Errorf("%+v", s)
	}
}

// TestSnapshotWhileCallsRun: it never shows more than there is room for, and in the end every call. With -race.
func TestSnapshotWhileCallsRun(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 4, Queue: 4, MaxWait: time.Millisecond})
	const goroutines, each = 16, 500
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range each {
				_ = b.Run(context.Background(), func(context.Context) error {
					if i%3 == 0 {
						return errShutdown
					}
					return nil
				})
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
		}
		s := b.Snapshot()
		if ended := s.Successes + s.Failures + s.Ignored + s.Refused; s.InUse > 4 || s.Queued > 4 || ended > goroutines*each {
			t.Fatalf("%+v", s)
		}
	}
	if s := b.Snapshot(); s.InUse != 0 || s.Successes+s.Failures+s.Refused != goroutines*each {
		t.Errorf("%+v", s)
	}
}
