package telemetry_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// waits are the wait durations of one collection.
func (r *recorder) waits() (points []metricdata.HistogramDataPoint[float64]) {
	r.t.Helper()
	for _, m := range r.collect() {
		if m.Name == "holdfast.bulkhead.wait.duration" {
			points = m.Data.(metricdata.Histogram[float64]).DataPoints
		}
	}
	return points
}

var reasons = []string{"full", "queue_full", "max_wait", "overload", "deadline", "priority", "rate", "total"}

// bulkheadSeries are all observed series of a bulkhead that nobody has called.
func bulkheadSeries(name string, limit, queue float64) map[string]float64 {
	series := map[string]float64{
		bulkheadOf(name, "usage"):       0,
		bulkheadOf(name, "limit"):       limit,
		bulkheadOf(name, "queue.usage"): 0,
		bulkheadOf(name, "queue.limit"): queue,
	}
	for _, reason := range reasons {
		series[rejected(name, reason)] = 0
	}
	return series
}

func bulkheadOf(name, what string) string {
	return "holdfast.bulkhead." + what + "{holdfast.policy.name=" + name + "}"
}

func rejected(name, reason string) string {
	return "holdfast.rejections{holdfast.policy.name=" + name + " holdfast.policy.type=bulkhead holdfast.reject.reason=" + reason + "}"
}

// waitsOf is the series of the histogram of waits.
func waitsOf(name string) string { return bulkheadOf(name, "wait.duration") }

// TestBulkheadInstruments: names, units, kinds and bounds are what dashboards are made of.
func TestBulkheadInstruments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.bulkhead(t, bulkhead.Config{Limit: 1, Queue: 1})
		held(t, b, time.Second)
		_ = b.Run(t.Context(), results())
		up := func(m metricdata.Metrics) bool {
			sum, ok := m.Data.(metricdata.Sum[int64])
			return ok && !sum.IsMonotonic && m.Unit == "{call}"
		}
		kinds := map[string]func(metricdata.Metrics) bool{
			"holdfast.call.duration":          nil, // TestInstruments looks at it
			"holdfast.bulkhead.usage":         up,
			"holdfast.bulkhead.limit":         up,
			"holdfast.bulkhead.queue.usage":   up,
			"holdfast.bulkhead.queue.limit":   up,
			"holdfast.bulkhead.wait.duration": func(m metricdata.Metrics) bool { return m.Unit == "s" },
			"holdfast.rejections": func(m metricdata.Metrics) bool {
				sum, ok := m.Data.(metricdata.Sum[int64])
				return ok && sum.IsMonotonic && m.Unit == "{call}"
			},
		}
		all := r.collect()
		for _, m := range all {
			if is, known := kinds[m.Name]; !known || is != nil && !is(m) || m.Description == "" {
				t.Errorf("%s is a %T of %q: %s", m.Name, m.Data, m.Unit, m.Description)
			}
		}
		if len(all) != len(kinds) {
			t.Errorf("%d metrics, want %d", len(all), len(kinds))
		}
		if w := r.waits(); len(w) != 1 || w[0].Sum != 1 || len(w[0].Bounds) != 14 || w[0].Bounds[0] != .005 || w[0].Bounds[13] != 10 {
			t.Errorf("waits: %+v", w)
		}
		runtime.KeepAlive(b)
	})
}

// TestBulkheadMetrics is a life of a bulkhead, with all its series looked at after each step.
func TestBulkheadMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 2, Queue: 1, MaxWait: 3 * time.Second})
		want := bulkheadSeries("slots", 2, 1)
		check := func() {
			t.Helper()
			got, s := r.metrics(), b.Snapshot()
			wantValues(t, got, want)
			if got[bulkheadOf("slots", "usage")] != float64(s.InUse) || got[bulkheadOf("slots", "limit")] != float64(s.Limit) ||
				got[bulkheadOf("slots", "queue.usage")] != float64(s.Queued) || got[bulkheadOf("slots", "queue.limit")] != float64(s.QueueLimit) {
				t.Errorf("the snapshot has %+v, the metrics %v", s, got)
			}
			for _, reason := range reasons {
				var r bulkhead.Reason
				if err := r.UnmarshalText([]byte(reason)); err != nil || got[rejected("slots", reason)] != float64(s.RefusedBy[r]) {
					t.Errorf("%s: the snapshot has %v, the metrics %v (%v)", reason, s.RefusedBy, got, err)
				}
			}
		}
		if got := r.metrics(); len(got) != len(want) {
			t.Errorf("%d series at the start, want %d: %v", len(got), len(want), got)
		}
		check()

		_ = b.Run(t.Context(), results())
		_ = b.Run(t.Context(), results(errBoom))
		check()

		held(t, b, time.Second)
		held(t, b, 10*time.Second)
		want[bulkheadOf("slots", "usage")] = 2
		check()

		_, _ = b.TryAcquire()
		want[rejected("slots", "full")]++
		check()

		go func() { _ = b.Run(t.Context(), results()) }() // waits for 1s
		synctest.Wait()
		want[bulkheadOf("slots", "queue.usage")] = 1
		check()

		_ = b.Run(t.Context(), results())
		want[rejected("slots", "queue_full")]++
		check()

		time.Sleep(2 * time.Second)
		want[bulkheadOf("slots", "usage")] = 1
		want[bulkheadOf("slots", "queue.usage")] = 0
		want[waitsOf("slots")] = 1
		check()

		if err := b.Resize(1); err != nil {
			t.Fatal(err)
		}
		want[bulkheadOf("slots", "limit")] = 1
		check()

		_ = b.Run(t.Context(), results()) // waits for 3s
		want[rejected("slots", "max_wait")]++
		want[waitsOf("slots")]++
		check()

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, _ = b.Acquire(ctx) // gives up after half a second: it waited, and is no rejection
		want[waitsOf("slots")]++
		check()

		time.Sleep(10 * time.Second)
		want[bulkheadOf("slots", "usage")] = 0
		check()
		if w := r.waits(); len(w) != 1 || w[0].Sum != 1+3+.5 {
			t.Errorf("waits: %+v", w)
		}
		const call = "holdfast.call.outcome="
		wantValues(t, r.metrics(), map[string]float64{
			duration + call + "success " + slots + "}":                                     2,
			duration + "error.type=_OTHER " + call + "failure " + slots + "}":              1,
			duration + "error.type=bulkhead_queue_full " + call + "refused " + slots + "}": 1,
			duration + "error.type=bulkhead_max_wait " + call + "refused " + slots + "}":   1,
		})
		runtime.KeepAlive(b)
	})
}

// TestBulkheadDurationIsTheWholeCall: waiting included.
func TestBulkheadDurationIsTheWholeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		b := r.bulkhead(t, bulkhead.Config{Limit: 1, Queue: 1})
		held(t, b, 3*time.Second)
		_ = b.Run(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
		if h := r.histogram(); len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 4 {
			t.Errorf("3s of waiting and 1s of work: %+v", h.DataPoints)
		}
	})
}

// TestKeyedBulkheadMetrics: a set is one series set. Its usage and limit are of all keys together, and its queue is all queues.
func TestKeyedBulkheadMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		k := r.tenants(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 1, Queue: 2}, Total: 2, MaxKeys: 3})
		want := bulkheadSeries("tenants", 2, 2)
		if got := r.metrics(); len(got) != len(want) {
			t.Errorf("%d series at the start, want %d", len(got), len(want))
		}
		wantValues(t, r.metrics(), want)

		_ = k.Get("a").Run(t.Context(), results())
		held(t, k.Get("a"), time.Second)
		held(t, k.Get("b"), time.Second)
		want[bulkheadOf("tenants", "usage")] = 2
		want[bulkheadOf("tenants", "queue.limit")] = 3 * 2 // two keys', and the total's
		_, _ = k.Get("a").TryAcquire()
		_, _ = k.Get("c").TryAcquire()
		want[bulkheadOf("tenants", "queue.limit")] = 4 * 2
		want[rejected("tenants", "full")]++
		want[rejected("tenants", "total")]++
		wantValues(t, r.metrics(), want)

		for _, key := range []string{"a", "c", "c"} { // a's waits for a's place, the first of c for the total's, the second for c's
			go func() { _ = k.Get(key).Run(t.Context(), results()) }()
			synctest.Wait()
		}
		want[bulkheadOf("tenants", "queue.usage")] = 3
		wantValues(t, r.metrics(), want)

		for _, key := range []string{"d", "e", "f"} { // evicts all of them: what waits and what was counted stays
			_, _ = k.Get(key).TryAcquire()
			want[rejected("tenants", "total")]++
		}
		wantValues(t, r.metrics(), want)

		time.Sleep(time.Minute)
		want[bulkheadOf("tenants", "usage")] = 0
		want[bulkheadOf("tenants", "queue.usage")] = 0
		want[waitsOf("tenants")] = 3
		want[duration+"holdfast.call.outcome=success holdfast.policy.name=tenants holdfast.policy.type=bulkhead}"] = 4
		wantValues(t, r.metrics(), want)
		if err := k.Total().Resize(9); err != nil {
			t.Fatal(err)
		}
		want[bulkheadOf("tenants", "limit")] = 9
		wantValues(t, r.metrics(), want)
		runtime.KeepAlive(k)
	})
}

// TestKeyedBulkheadCountersNeverGoDown: not when keys are evicted, and gone, while somebody collects.
func TestKeyedBulkheadCountersNeverGoDown(t *testing.T) {
	r := record(t)
	k := r.tenants(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 1}, Total: 4, MaxKeys: 2})
	const keys = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range keys {
			b := k.Get(fmt.Sprint(i))
			_ = b.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, results()) })
		}
	}()
	last := -1.0
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		runtime.GC()
		n := r.metrics()[rejected("tenants", "full")]
		if n < last {
			t.Fatalf("%v rejections after %v", n, last)
		}
		last = n
	}
	if last != keys {
		t.Errorf("%v rejections at the end, want %d", last, keys)
	}
	runtime.KeepAlive(k)
}

// TestKeyedBulkheadCountersWhenIdle: nor when it is the collection itself that finds keys idle.
func TestKeyedBulkheadCountersWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		k := r.tenants(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 1}, Total: 4, IdleAfter: time.Minute})
		held(t, k.Get("a"), time.Second)
		_, _ = k.Get("a").TryAcquire()
		time.Sleep(2 * time.Minute)
		for range 2 {
			if n := r.metrics()[rejected("tenants", "full")]; n != 1 {
				t.Errorf("%v rejections, want 1", n)
			}
			runtime.GC()
		}
		if k.Len() != 0 {
			t.Errorf("%d keys are there", k.Len())
		}
	})
}

// TestKeyedBulkheadSpans carry the name of the set: keys have no bound.
func TestKeyedBulkheadSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		k := r.tenants(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "slots", Limit: 1, Queue: 1, MaxWait: time.Second}, Total: 1})
		ctx, caller := r.caller(t.Context())
		held(t, k.Get("tenant 4711"), 500*time.Millisecond)
		_ = k.Get("tenant 4712").Run(ctx, results())
		held(t, k.Get("tenant 4711"), 5*time.Second)
		_ = k.Get("tenant 4712").Run(ctx, results())
		_ = k.Get("tenant 4711").Run(ctx, func(context.Context) error { return nil })
		caller.End()
		wantLines(t, r.spans(), "caller Unset {}",
			"  bulkhead slots Unset {holdfast.bulkhead.wait_duration=0.5 holdfast.call.outcome=success "+slots+"}",
			"  bulkhead slots Error(bulkhead_max_wait) {error.type=bulkhead_max_wait holdfast.bulkhead.wait_duration=1 holdfast.call.outcome=refused "+slots+" holdfast.reject.reason=max_wait}",
			"  bulkhead slots Error(bulkhead_max_wait) {error.type=bulkhead_max_wait holdfast.bulkhead.wait_duration=1 holdfast.call.outcome=refused "+slots+" holdfast.reject.reason=max_wait}")
		time.Sleep(5 * time.Second)
	})
}

// TestDroppedBulkhead is neither kept alive nor reported: not by the registry, nor by a wait for the rate that is over, and
// neither is a set.
func TestDroppedBulkhead(t *testing.T) {
	r := record(t)
	stays := r.bulkhead(t, bulkhead.Config{Name: "stays", Limit: 3})
	one, set := func() (weak.Pointer[bulkhead.Bulkhead], weak.Pointer[bulkhead.Keyed[string]]) {
		b := r.bulkhead(t, bulkhead.Config{Name: "goes", Limit: 1, Queue: 1, Rate: 1000, Burst: 1})
		for range 3 {
			_ = b.Run(t.Context(), results())
		}
		k := r.tenants(t, bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "goes too"}, Total: 3})
		_ = k.Get("a").Run(t.Context(), results())
		if n := len(r.metrics()); n < 3*len(bulkheadSeries("stays", 3, 0)) {
			t.Errorf("only %d series while they are there", n)
		}
		return weak.Make(b), weak.Make(k)
	}()
	eventually(t, "the bulkhead is kept alive", func() bool { return one.Value() == nil })
	eventually(t, "the set is kept alive", func() bool { return set.Value() == nil })
	wantValues(t, r.metrics(), bulkheadSeries("stays", 3, 0))
	runtime.KeepAlive(stays)
}

// TestBulkheadsOfOneName sum up.
func TestBulkheadsOfOneName(t *testing.T) {
	r := record(t)
	a, b := r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 1}), r.bulkhead(t, bulkhead.Config{Name: "slots", Limit: 2})
	for _, b := range []*bulkhead.Bulkhead{a, b, b} {
		if _, err := b.TryAcquire(); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.TryAcquire()
	_, _ = b.TryAcquire()
	want := bulkheadSeries("slots", 3, 0)
	want[bulkheadOf("slots", "usage")] = 3
	want[rejected("slots", "full")] = 2
	wantValues(t, r.metrics(), want)
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
}

// TestBulkheadFollows: a bulkhead made before the SDK reports when there is one, its waits too; and to the next, when that
// takes its place.
func TestBulkheadFollows(t *testing.T) {
	if alone(t) {
		return
	}
	b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1, Queue: 1})
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 1}, Total: 2})
	wait := func(ctx context.Context) {
		p, err := b.TryAcquire()
		if err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() { _ = b.Run(ctx, results()) })
		for b.Snapshot().Queued == 0 {
			runtime.Gosched()
		}
		p.Done(nil)
		waiting.Wait()
	}
	wait(t.Context())
	for i := range 2 {
		r := record(t)
		if i == 0 {
			r.install() // without any call they are there
			want := bulkheadSeries("slots", 1, 1)
			got := r.metrics()
			for series, v := range want {
				if got[series] != v {
					t.Errorf("%s = %v, want %v", series, got[series], v)
				}
			}
		} else {
			r.follow()
		}
		ctx, caller := r.caller(t.Context())
		wait(ctx)
		caller.End()
		got := r.metrics()
		if got[waitsOf("slots")] != 1 || got[duration+"holdfast.call.outcome=success "+slots+"}"] != 1 || got[bulkheadOf("tenants", "limit")] != float64(k.Total().Snapshot().Limit) {
			t.Errorf("SDK %d: %v", i, got)
		}
		if n := len(r.spans()); n != 2 {
			t.Errorf("SDK %d: %d spans, want the caller's and the bulkhead's", i, n)
		}
	}
	runtime.KeepAlive(b)
	runtime.KeepAlive(k)
}

// TestBulkheadAllocations: a call through a bulkhead with a free place costs no allocation while nobody looks, and while an
// SDK is there that does not look at this one; nor does a refusal.
func TestBulkheadAllocations(t *testing.T) {
	r := record(t)
	dropping := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := dropping.caller(t.Context())
	work := results()
	for name, c := range map[string]bulkhead.Config{
		"nothing installed": {},
		"no parent":         {TracerProvider: r.tracer},
		"dropped":           {TracerProvider: dropping.tracer},
	} {
		c.Limit = 1
		b := bulkhead.MustNew(c)
		ctx := ctx
		if name == "nothing installed" {
			ctx = context.Background()
		}
		if n := testing.AllocsPerRun(1000, func() { _ = b.Run(ctx, work) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() {
			p, _ := b.Acquire(ctx)
			p.Done(nil)
		}); n != 0 {
			t.Errorf("%s: %v allocations of Acquire", name, n)
		}
		held(t, b, time.Hour)
		if n := testing.AllocsPerRun(1000, func() { _ = b.Run(ctx, work) }); n != 0 {
			t.Errorf("%s: %v allocations of a refusal", name, n)
		}
	}
}
