package deadline_test

import (
	"context"
	"math"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// TestCost counts what a context weighs: exactly, so that an allocation more is seen.
func TestCost(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	called := make(chan struct{})
	limit := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name          string
		limit         time.Time
		life          func(*deadline.Context)
		allocs, bytes float64
	}{
		{"Release", limit, (*deadline.Context).Release, 1, 64},
		{"Cancel", limit, (*deadline.Context).Cancel, 1, 64},
		{"CancelCause", limit, func(c *deadline.Context) { c.CancelCause(lost) }, 1, 64},
		{"Err", limit, func(c *deadline.Context) { _ = c.Err() }, 1, 64},
		{"Cause of the lost", limit, func(c *deadline.Context) { c.CancelCause(lost); _ = context.Cause(c) }, 1, 64},
		// A place among the released is 8 bytes, and more when there is a collection between: a weak pointer for each.
		{"Done, Release", limit, func(c *deadline.Context) { c.Done(); c.Release() }, 5, 456},
		{"Done, Cancel", limit, func(c *deadline.Context) { c.Done(); c.Cancel() }, 5, 448},
		{"Done, CancelCause", limit, func(c *deadline.Context) { c.Done(); c.CancelCause(lost) }, 5, 448},
		{"unlimited: Release", time.Time{}, (*deadline.Context).Release, 1, 64},
		{"unlimited: CancelCause", time.Time{}, func(c *deadline.Context) { c.CancelCause(lost) }, 1, 64},
		{"unlimited: Err", time.Time{}, func(c *deadline.Context) { _ = c.Err() }, 1, 64},
		// A timer would be two allocations more.
		{"unlimited: Done, Release", time.Time{}, func(c *deadline.Context) { c.Done(); c.Release() }, 3, 328},
		{"unlimited: Done, CancelCause", time.Time{}, func(c *deadline.Context) { c.Done(); c.CancelCause(lost) }, 3, 320},
		// Three more for the function, which is its stop function, its place in the ring, and here a closure.
		{"unlimited: AfterFunc, CancelCause", time.Time{}, func(c *deadline.Context) {
			c.AfterFunc(func() { called <- struct{}{} })
			c.CancelCause(lost)
			<-called
		}, 6, 400},
	} {
		life := func() { c.life(deadline.New(parent, c.limit)) }
		allocs, bytes := costPerRun(life)
		if allocs > c.allocs {
			t.Errorf("%s: %v allocations, want %v", c.name, allocs, c.allocs)
		}
		if bytes > c.bytes && math.MaxUint == math.MaxUint64 {
			t.Errorf("%s: %v bytes, want %v", c.name, bytes, c.bytes)
		}
	}
	if n := reflect.TypeFor[deadline.Context]().Size(); n > 64 {
		t.Errorf("a Context is %d bytes", n)
	}
}

// costPerRun is testing.AllocsPerRun, for bytes too. It takes the least of some measurements: sweeps and the collector's
// goroutines allocate as well.
func costPerRun(f func()) (allocs, bytes float64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	allocs, bytes = math.Inf(1), math.Inf(1)
	for range 20 {
		const n = 500
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			f()
		}
		runtime.ReadMemStats(&after)
		allocs = min(allocs, float64((after.Mallocs-before.Mallocs)/n))
		bytes = min(bytes, float64((after.TotalAlloc-before.TotalAlloc)/n))
	}
	return allocs, bytes
}
