package latency_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

const ms = time.Millisecond

// about reports whether got is d, as rounded up.
func about(got, d time.Duration) bool { return got >= d && got-d <= d/32 }

// TestTracker: a span of 40 s, the median. Rows are steps: so many samples of that length are recorded at that time; then
// the value is so long, or there is none.
func TestTracker(t *testing.T) {
	type step struct {
		at      time.Duration
		n       int
		d, want time.Duration
	}
	const sec = time.Second
	for name, steps := range map[string][]step{
		"none until there are enough":      {{0, 9, 3 * ms, 0}, {0, 1, 3 * ms, 3 * ms}},
		"nor if time goes on":              {{0, 4, 3 * ms, 0}, {sec, 5, 3 * ms, 0}, {2 * sec, 1, 3 * ms, 3 * ms}},
		"few: after a quarter more":        {{0, 10, ms, ms}, {0, 11, 9 * ms, ms}, {0, 6, 9 * ms, 9 * ms}},
		"not much before that":             {{0, 100, ms, ms}, {0, 101, 9 * ms, ms}, {0, 60, 9 * ms, 9 * ms}},
		"few: at any time when it is due":  {{0, 101, ms, ms}, {50 * ms, 102, 9 * ms, ms}, {150 * ms, 1, 9 * ms, 9 * ms}},
		"many: at the time only":           {{0, 400, ms, ms}, {0, 10_000, 9 * ms, ms}, {99 * ms, 1, 9 * ms, ms}, {100 * ms, 1, 9 * ms, 9 * ms}},
		"and each 100 ms":                  {{0, 400, ms, ms}, {100 * ms, 400, 9 * ms, ms}, {199 * ms, 1, 9 * ms, ms}, {200 * ms, 1, 9 * ms, 9 * ms}},
		"old ones drop out":                {{0, 100, ms, ms}, {10 * sec, 50, 9 * ms, ms}, {39 * sec, 1, 9 * ms, ms}, {40 * sec, 1, 9 * ms, 9 * ms}},
		"after a gap none, if too few":     {{0, 1000, ms, ms}, {60 * sec, 1, 9 * ms, 0}, {60 * sec, 8, 9 * ms, 0}, {60 * sec, 1, 9 * ms, 9 * ms}},
		"a gap, and nobody who records":    {{0, 1000, ms, ms}, {39 * sec, 0, 0, ms}, {40 * sec, 0, 0, 0}},
		"nothing at all":                   {{0, 0, 0, 0}, {40 * sec, 0, 0, 0}},
		"times of no length are a value":   {{0, 9, 0, 0}, {0, 1, 0, -1}, {0, 100, -5, -1}},
		"before the start of the clock":    {{-90 * sec, 10, ms, ms}, {-60 * sec, 20, 9 * ms, 9 * ms}},
		"many, then few: counted again":    {{0, 1000, ms, ms}, {60 * sec, 10, 9 * ms, 9 * ms}, {60 * sec, 20, ms, ms}},
		"few, later many: not counted":     {{0, 100, ms, ms}, {0, 300, ms, ms}, {0, 900, 9 * ms, ms}, {100 * ms, 1, 9 * ms, 9 * ms}},
		"a late one does not hold it up":   {{0, 400, ms, ms}, {200 * ms, 1, 9 * ms, ms}, {0, 800, 9 * ms, ms}, {300 * ms, 1, 9 * ms, 9 * ms}},
		"nor one that is from long before": {{sec, 400, ms, ms}, {-9 * sec, 800, 9 * ms, ms}, {sec + 100*ms, 1, 9 * ms, 9 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := latency.NewTracker(40*time.Second, 0.5, 10)
			for i, s := range steps {
				for range s.n {
					tr.Record(s.at, s.d)
				}
				if s.n == 0 {
					tr.Advance(s.at)
				}
				want := max(s.want, 0) // -1: a value, of zero
				if got, ok := tr.Value(); ok != (s.want != 0) || !about(got, want) {
					t.Fatalf("step %d: %v, %v, want %v", i, got, ok, s.want)
				}
			}
		})
	}
}

// TestTrackerShortSpan: it is refreshed 64 times in it, if that is more often.
func TestTrackerShortSpan(t *testing.T) {
	tr := latency.NewTracker(64*ms, 0.5, 0)
	for range 300 {
		tr.Record(0, ms)
	}
	for range 301 {
		tr.Record(ms-1, 9*ms)
	}
	if v, _ := tr.Value(); !about(v, ms) {
		t.Errorf("%v before it was due", v)
	}
	tr.Record(ms, 9*ms)
	if v, _ := tr.Value(); !about(v, 9*ms) {
		t.Errorf("%v when it was due", v)
	}
}

// TestTrackerEnough: no fewer than for a quantile.
func TestTrackerEnough(t *testing.T) {
	for enough, want := range map[int]int{-1: 5, 0: 5, 5: 5, 6: 6, 300: 300} {
		tr := latency.NewTracker(0, 0.5, enough)
		n := 0
		for ok := false; !ok && n < 1000; n++ {
			tr.Record(0, ms)
			_, ok = tr.Value()
		}
		if n != want {
			t.Errorf("NewTracker(…, %d) has a value after %d samples, want %d", enough, n, want)
		}
	}
}

// TestTarget: another quantile is there at once.
func TestTarget(t *testing.T) {
	tr := latency.NewTracker(0, 0.5, 0)
	tr.SetTarget(0.25)
	if v, ok := tr.Value(); ok {
		t.Errorf("value %v of nothing", v)
	}
	for i := range 1000 {
		tr.Record(0, time.Duration(i+1)*ms)
	}
	for _, q := range qs {
		tr.SetTarget(q)
		v, ok := tr.Value()
		want, _ := tr.Quantile(q)
		if tr.Target() != q || v != want || !ok {
			t.Errorf("target %v: value %v, %v of %v, want %v", q, v, ok, tr.Target(), want)
		}
	}
	if a, n := tr.Above(500*ms), tr.Count(); a < 0.45 || a > 0.5 || n != 1000 {
		t.Errorf("Above = %v, Count = %d", a, n)
	}
}

// TestOneRefreshes: while one refreshes, the others record, read and set as ever, and wait for nothing.
func TestOneRefreshes(t *testing.T) {
	tr := latency.NewTracker(0, 0.5, 10)
	for range 10 {
		tr.Record(0, ms)
	}
	release := tr.HoldRefresh()
	for i := range 1000 {
		tr.Record(time.Duration(i)*ms, 9*ms)
	}
	tr.Advance(time.Second)
	tr.SetTarget(0.9)
	if v, ok := tr.Value(); !about(v, ms) || !ok {
		t.Errorf("value %v, %v while another goroutine refreshes it", v, ok)
	}
	release()
	tr.Record(2*time.Second, 9*ms)
	if v, _ := tr.Value(); !about(v, 9*ms) {
		t.Errorf("value %v after", v)
	}
}

// TestSet: the value is that of the new quantile at once, if the samples are enough for it.
func TestSet(t *testing.T) {
	tr := latency.NewTracker(40*time.Second, 0.9, 100)
	for i := range 99 {
		tr.Record(0, time.Duration(1+i)*time.Millisecond)
	}
	if v, ok := tr.Value(); ok {
		t.Errorf("%v of 99 samples", v)
	}
	tr.Set(time.Second, 40*time.Second, 0.5, 50)
	if v, ok := tr.Value(); !ok || v < 50*time.Millisecond || v > 52*time.Millisecond {
		t.Errorf("%v, %v, want the median", v, ok)
	}
	tr.Set(2*time.Second, 4*time.Second, 0.5, 100)
	if v, ok := tr.Value(); ok {
		t.Errorf("%v of 99 samples", v)
	}
	tr.Record(2*time.Second, time.Millisecond)
	if v, ok := tr.Value(); !ok || v < 49*time.Millisecond || v > 51*time.Millisecond {
		t.Errorf("%v, %v, with one more", v, ok)
	}
	tr.Advance(7 * time.Second)
	if n := tr.Count(); n != 0 {
		t.Errorf("%d samples after the new span", n)
	}
}
