package chaos

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// run is the time from one Enable to the next Disable.
type run struct {
	start time.Time
	over  context.Context // done when it is switched off: nothing is held any longer
	end   context.CancelFunc

	calls  atomic.Uint64 // and connections. The number of the next one
	held   atomic.Int64
	struck []atomic.Uint64 // by fault
}

func newRun(faults int) *run {
	r := &run{start: time.Now(), struck: make([]atomic.Uint64, faults)}
	r.over, r.end = context.WithCancel(context.Background())
	return r
}

// ended reports whether it was switched off.
func (r *run) ended() bool { return r.over.Err() != nil }

func (r *run) total() (n uint64) {
	for i := range r.struck {
		n += r.struck[i].Load()
	}
	return n
}

// identity of the next call that has no key.
func (r *run) identity() uint64 { return mix(r.calls.Add(1) - 1) }

// dice are those of one call for one fault. What they say does not depend on any other call.
func (in *Injector) dice(identity uint64, fault int) dice {
	return throw(in.cfg.Seed, identity+golden*uint64(fault+1))
}

// strikes reports whether a fault is in force for whom the dice are, who is one it is meant for. The first number of the dice
// decides it, however strong the fault is just now: while a rate rises those that were struck already stay among the struck.
func (r *run) strikes(f *Fault, d *dice) bool {
	return d.uniform() < f.Rate*f.Schedule.strength(time.Since(r.start))
}

// forever is a wait that only something else ends.
const forever = time.Duration(math.MaxInt64)
