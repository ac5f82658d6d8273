package bulkhead

import (
	"testing"
	"time"
)

// Other bounds leave the search as it is while its limit is within them. Else the limit is the nearest, what is tried is over,
// and the rest of what is known stays.
func TestFinderFollow(t *testing.T) {
	known := func() *finder {
		f := newFinder(Adaptive{Min: 2, Max: 100, Initial: 50})
		f.search.base, f.search.baseOf, f.search.kneeOf, f.search.spread = 15, 1000, 700, 0.4
		f.search.trial, f.search.leaped, f.latency, f.warm = lift, true, 1e6, true
		f.record(time.Millisecond)
		return f
	}
	f := known()
	was := f.search
	f.follow(Adaptive{Min: 50, Max: 200, Window: time.Second}, time.Hour)
	was.min, was.max = 50, 200
	if f.search != was || f.limit() != 50 || f.roots.Load() == 0 || f.window != time.Second || f.from.Load() != 0 {
		t.Errorf("within: %+v, want %+v; limit %d, window %v from %d", f.search, was, f.limit(), f.window, f.from.Load())
	}
	for _, row := range []struct{ least, most, limit int }{{1, 30, 30}, {60, 90, 60}} {
		f = known()
		f.follow(Adaptive{Min: row.least, Max: row.most}, time.Hour)
		s := f.search
		if f.limit() != row.limit || s.trial != even || s.leaped || f.roots.Load() != 0 || f.from.Load() <= int64(time.Hour) {
			t.Errorf("%d to %d: %+v, limit %d, %d recorded, from %d", row.least, row.most, s, f.limit(), f.roots.Load(), f.from.Load())
		}
		if s.base != was.base || s.baseOf != was.baseOf || s.kneeOf != was.kneeOf || s.spread != was.spread || !f.warm {
			t.Errorf("%d to %d: forgotten: %+v", row.least, row.most, s)
		}
	}
}

// Adaptive is found by the same finder as before, until there is none.
func TestReconfigureKeepsTheFinder(t *testing.T) {
	b := MustNew(Config{Adaptive: &Adaptive{}})
	was := b.terms.Load()
	for _, c := range []Config{{Adaptive: &Adaptive{Max: 10}, Rate: 3}, {Adaptive: &Adaptive{Min: 5}}} {
		if err := b.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		if now := b.terms.Load(); now == was || now.finder != was.finder {
			t.Errorf("%+v: other terms: %v, another finder: %v", c, now != was, now.finder != was.finder)
		}
	}
}

// A search that begins later has a window from then on.
func TestFinderFromNow(t *testing.T) {
	f := newFinderFrom(500, Adaptive{Max: 90}, time.Hour)
	if f.limit() != 90 || f.from.Load() != int64(time.Hour) || f.edge.Load() != int64(time.Hour+defaultWindow) {
		t.Errorf("limit %d, window from %d to %d", f.limit(), f.from.Load(), f.edge.Load())
	}
}
