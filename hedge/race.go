package hedge

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/attempt"
	"github.com/holdfast-go/holdfast/internal/deadline"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// race is what a call is apart from the type of its result: which attempts there are, and which has won. It is shared by the
// caller's goroutine, which waits and starts hedges, and by those of the attempts, which settle it.
type race struct {
	p         *Policy
	set       *settings // as they were when it began
	pace      *pace
	ctx       context.Context // the caller's, under the call's span
	*exchange                 // in a Transport
	tel       *telemetry.Call // nil: nobody looks
	began     time.Duration
	delay     time.Duration
	shared    attempt.Shared // what a failover below knows of the other attempts

	mu       sync.Mutex
	state    state
	done     bool          // all that follows from the end has been done
	over     chan struct{} // closed then; nil: nobody waits yet
	running  int           // attempts under way
	pending  int           // attempts that may be about to start
	reserved int           // of these, hedges
	granted  int           // hedges that were not denied
	refused  bool          // the last one that was asked for was denied
	first    runner        // the first attempt
	hedges   []*runner     // the others
	winner   *runner       // of a race that was won
	timer    *time.Timer
	next     time.Duration // what the timer was set to
	panic    any           // what reaches the caller of one that panicked; nil: runtime.Goexit
}

// state is how a race stands.
type state uint8

const (
	open     state = iota
	won            // by the first success
	failed         // all attempts have
	left           // the caller has gone: its context ended
	panicked       // an attempt has, or it ended its goroutine
)

// runner is one attempt.
type runner struct {
	number   int // from 1
	ctx      context.Context
	own      *deadline.Context // what ends ctx
	numbered attempt.Numbered  // what ctx is, or is made of
	tel      telemetry.Attempt
	err      error
	ended    bool // it has a result, or was lost
	out      bool // it was lost
	again    bool // it failed, and another may be about to start for that
	cut      bool // it failed, when the caller's context had ended
}

func (a *runner) kind() telemetry.AttemptKind {
	if a.number == 1 {
		return telemetry.Initial
	}
	return telemetry.Hedge
}

// starter runs attempts: a call.
type starter interface{ run(*runner) }

func (r *race) begin(ctx context.Context, p *Policy, set *settings, at *pace, x *exchange) {
	r.p, r.set, r.pace, r.ctx, r.exchange = p, set, at, ctx, x
	p.counts.calls.Add()
	if p.scope.Active(ctx) {
		r.ctx, r.tel = p.scope.StartCall(ctx)
	}
	r.began = p.now()
	p.load.called(set.MaxExtraLoad, r.began, &p.counts.calls)
	r.delay = at.delay(set, r.began)
	r.first.number, r.pending = 1, 1
}

// start starts an attempt that is pending, unless the race was decided meanwhile.
func (r *race) start(a *runner, by starter) {
	if r.ready(a) {
		go by.run(a)
	}
}

// ready makes an attempt that is pending one that is running, and reports whether it is not too late for that.
func (r *race) ready(a *runner) bool {
	// The number goes around the context and not under it: what is under it is kept by the caller's context, and with that
	// number the whole call would be.
	a.own = deadline.New(r.ctx, time.Time{})
	a.numbered.Init(a.own, a.number, &r.shared)
	a.ctx = &a.numbered
	if r.tel != nil && !r.set.NoAttemptSpans {
		a.ctx, a.tel = r.startSpan(a)
	}
	r.mu.Lock()
	r.pending--
	if a != &r.first {
		r.reserved--
	}
	tooLate := r.state != open
	if !tooLate {
		r.running++
		if a != &r.first {
			r.hedges = append(r.hedges, a)
			if r.exchange != nil {
				r.exchange.another()
			}
		}
	}
	r.mu.Unlock()
	if tooLate {
		r.cancel(a)
		a.tel.End(telemetry.Lost, nil)
		return false
	}
	if r.exchange != nil && a == &r.first {
		r.exchange.begin(a.ctx)
	}
	return true
}

// wait waits until the race is decided. Meanwhile hedges start in the goroutine of a timer.
//
// First it lets the attempt run, unless the next is to start beside it: what is over soon needs no timer, and nobody has to
// be woken.
func (r *race) wait(by starter) {
	if r.delay > 0 {
		runtime.Gosched()
	}
	over := r.waitFor()
	if over == nil {
		return
	}
	r.arm(by, true)
	select {
	case <-over:
	case <-r.ctx.Done():
		r.leave(over)
	}
}

// waitFor returns what will be closed at the end; nil if there is nothing to wait for any more.
func (r *race) waitFor() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return nil
	}
	r.over = make(chan struct{})
	return r.over
}

// verdict is what becomes of an attempt's value.
type verdict uint8

const (
	keep verdict = iota // for the caller
	drop                // it failed
	late                // it comes too late
)

// settleLocked takes the result of an attempt. A failure that wants another attempt leaves that pending. gone is whether
// the caller's context has ended.
func (r *race) settleLocked(a *runner, err error, again, gone bool) verdict {
	if r.state != open { // decided a moment ago: another one that came with a success must not win as well
		return late
	}
	a.ended, a.err = true, err
	r.running--
	if err == nil {
		r.state, r.winner = won, a
		return keep
	}
	a.cut = gone
	if again {
		a.again = true
		r.pending++
	}
	if a == &r.first {
		return keep
	}
	return drop
}

// goOn is what follows an attempt that has settled: another one, or the end.
func (r *race) goOn(a *runner, by starter) {
	if a.again {
		r.hedge(by) // should the Budget panic, that ends the race
	}
	r.noLonger(a.again)
}

// noLonger ends the race if no attempt is left that could win it. pending is whether there is one less that is about to
// start.
func (r *race) noLonger(pending bool) {
	gone := r.gone()
	r.mu.Lock()
	if pending {
		r.pending--
	}
	ended := r.state == open && r.running == 0 && r.pending == 0
	if ended {
		r.state = failed
		if gone { // then what they failed with is the caller's affair
			r.state = left
		}
	}
	r.mu.Unlock()
	if ended {
		r.decided()
	}
}

// gone reports whether the caller's context has ended. It is not asked under the lock: the context may be the user's own.
func (r *race) gone() bool { return r.ctx.Err() != nil }

// wantsAnother asks HedgeIf, unless it is clear that there will be none.
func (r *race) wantsAnother(err error) bool {
	if r.gone() || r.pointless() {
		return false
	}
	return r.room() && r.set.HedgeIf(err)
}
