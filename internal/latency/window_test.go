package latency_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

// TestRotation: a span of 40 s. Rows are steps: at that time so many samples are recorded, or none and the window told
// of the time; then it has so many.
func TestRotation(t *testing.T) {
	type step struct {
		at     time.Duration
		record int
		want   uint64
	}
	for name, steps := range map[string][]step{
		"gradually":                               {{0, 1, 1}, {10, 2, 3}, {20, 4, 7}, {30, 8, 15}, {40, 16, 30}, {50, 32, 60}, {60, 0, 56}, {70, 0, 48}, {80, 0, 32}, {90, 0, 0}},
		"a part is 10 s long":                     {{0, 1, 1}, {9, 2, 3}, {10, 4, 7}, {39, 8, 15}, {40, 0, 12}, {49, 0, 12}, {50, 0, 8}, {69, 0, 8}, {70, 0, 0}},
		"from the first sample on":                {{1005, 1, 1}, {1044, 2, 3}, {1045, 4, 6}},
		"a gap of one part":                       {{0, 1, 1}, {20, 2, 3}, {30, 0, 3}, {40, 0, 2}, {59, 0, 2}, {60, 0, 0}},
		"a gap of two":                            {{0, 1, 1}, {10, 2, 3}, {35, 4, 7}, {40, 0, 6}, {50, 0, 4}, {65, 8, 12}, {70, 0, 8}},
		"a gap of three":                          {{0, 1, 1}, {30, 2, 3}, {40, 0, 2}},
		"a gap of all":                            {{0, 1, 1}, {10, 1, 2}, {20, 1, 3}, {30, 1, 4}, {70, 1, 1}},
		"all but the newest":                      {{0, 1, 1}, {10, 1, 2}, {20, 1, 3}, {30, 1, 4}, {60, 1, 2}},
		"a gap of days":                           {{0, 100, 100}, {1e6, 1, 1}, {1e6 + 39, 1, 2}, {1e6 + 45, 0, 1}},
		"late ones count as the newest":           {{0, 1, 1}, {25, 2, 3}, {3, 4, 7}, {-100, 8, 15}, {40, 0, 14}, {59, 0, 14}, {60, 0, 0}},
		"below zero":                              {{-100, 1, 1}, {-61, 2, 3}, {-60, 0, 2}, {0, 1, 1}},
		"to be told of the time twice is as once": {{0, 1, 1}, {30, 0, 1}, {30, 0, 1}, {39, 0, 1}, {40, 0, 0}, {40, 0, 0}},
		"to be told before there is anything":     {{7, 0, 0}, {9, 1, 1}, {48, 0, 1}, {49, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := latency.New(40 * time.Second)
			for _, s := range steps {
				for range s.record {
					w.Record(s.at*time.Second, time.Millisecond)
				}
				if s.record == 0 {
					w.Advance(s.at * time.Second)
				}
				if got := w.Count(); got != s.want {
					t.Fatalf("at %d s: Count() = %d, want %d", s.at, got, s.want)
				}
			}
		})
	}
}

// TestSpan: New says which.
func TestSpan(t *testing.T) {
	for span, want := range map[time.Duration]time.Duration{
		0:             30 * time.Second,
		-time.Second:  30 * time.Second,
		math.MinInt64: 30 * time.Second,
		time.Hour:     time.Hour,
		4:             4,
		1:             4,
		math.MaxInt64: math.MaxInt64 - 3,
	} {
		w := latency.New(span)
		w.Record(0, 1)
		w.Advance(want - 1)
		if w.Count() != 1 {
			t.Errorf("span %v: empty at %v", span, want-1)
		}
		if w.Advance(want); w.Count() != 0 {
			t.Errorf("span %v: not empty at %v", span, want)
		}
	}
}

// TestAnyTime: no time does harm, even one that is nonsense.
func TestAnyTime(t *testing.T) {
	times := []time.Duration{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, span := range []time.Duration{1, time.Second, math.MaxInt64} {
		for _, a := range times {
			for _, b := range times {
				w, tr := latency.New(span), latency.NewTracker(span, 0.5, 0)
				for _, now := range []time.Duration{a, b, a, b} {
					for range 20 {
						w.Record(now, time.Second)
						tr.Record(now, time.Second)
					}
					d, ok := w.Quantile(0.5)
					v, vok := tr.Value()
					if !ok || d != v || !vok || w.Count() < 20 || w.Count() > 80 {
						t.Fatalf("span %d, time %d after %d: %v, %v, value %v, %v, of %d", span, b, a, d, ok, v, vok, w.Count())
					}
				}
			}
		}
	}
}

// TestModel: against all samples kept in a list, each with the number of its part.
func TestModel(t *testing.T) {
	const part = 10 * time.Second
	type sample struct {
		part int64
		d    time.Duration
	}
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		w := latency.New(4 * part)
		var all []sample
		var now, start time.Duration
		for i := range 400 {
			switch rnd.IntN(10) {
			case 0:
				now += time.Duration(rnd.Int64N(int64(6 * part)))
			case 1, 2:
				now += part - (now-start)%part // to the edge
			default:
				now += time.Duration(rnd.Int64N(int64(part / 4)))
			}
			if i == 0 {
				start = now
			}
			for range rnd.IntN(4) + 1 {
				d := time.Duration(1e6 * math.Exp(3*rnd.NormFloat64()))
				w.Record(now, d)
				all = append(all, sample{int64((now - start) / part), d})
			}
			var in []time.Duration
			for _, s := range all {
				if int64((now-start)/part)-s.part < 4 {
					in = append(in, s.d)
				}
			}
			if w.Count() != uint64(len(in)) {
				t.Fatalf("seed %d: %d samples at %v, want %d", seed, w.Count(), now, len(in))
			}
			if len(in) >= latency.MinSamples {
				checkQuantile(t, w, sorted(in), rnd.Float64())
			}
		}
	}
}

// TestHeldUp: one that has found its part and adds to it later. The sample has the age of the part.
func TestHeldUp(t *testing.T) {
	const sec, span = time.Second, 40 * time.Second
	w := latency.New(span)
	add := w.Hold(0)
	for at := range time.Duration(100) {
		w.Record(at*sec, time.Millisecond)
		before := w.Count()
		add(time.Hour)
		switch after := w.Count(); {
		case at*sec < span && after != before+1:
			t.Fatalf("at %d s the sample was not counted while its part was in the window", at)
		case at*sec >= span && (after != before || w.Above(time.Second) != 0):
			t.Fatalf("at %d s the sample counts, and its part is no longer in the window", at)
		}
	}
}

// TestSetSpan: what there is stays for one new span, whichever is longer. Rows are steps, as in TestRotation; one with a span
// sets that, in s.
func TestSetSpan(t *testing.T) {
	type step struct {
		at     time.Duration
		span   time.Duration
		record int
		want   uint64
	}
	for name, steps := range map[string][]step{
		"shorter, within a part":    {{0, 0, 1, 1}, {10, 0, 2, 3}, {19, 4, 0, 3}, {21, 0, 4, 7}, {22, 0, 0, 6}, {23, 0, 0, 4}, {24, 0, 0, 4}, {25, 0, 0, 0}},
		"shorter than what is past": {{0, 0, 1, 1}, {9, 4, 8, 9}, {12, 0, 0, 9}, {13, 0, 0, 0}},
		"longer":                    {{0, 0, 1, 1}, {10, 0, 2, 3}, {12, 400, 0, 3}, {200, 0, 4, 7}, {311, 0, 0, 7}, {312, 0, 0, 6}, {412, 0, 0, 4}},
		"before there is anything":  {{0, 4, 0, 0}, {1, 0, 1, 1}, {4, 0, 0, 1}, {5, 0, 0, 0}},
		"to the same":               {{0, 0, 1, 1}, {5, 40, 0, 1}, {44, 0, 0, 1}, {45, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := latency.New(40 * time.Second)
			for _, s := range steps {
				if s.span > 0 {
					w.SetSpan(s.at*time.Second, s.span*time.Second)
				}
				for range s.record {
					w.Record(s.at*time.Second, time.Millisecond)
				}
				if s.record == 0 {
					w.Advance(s.at * time.Second)
				}
				if got := w.Count(); got != s.want {
					t.Fatalf("at %d s: Count() = %d, want %d", s.at, got, s.want)
				}
			}
		})
	}
}
