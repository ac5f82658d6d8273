package hedge

import (
	"context"
	"errors"
	"runtime"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// How a race ends. Spans, loggers and contexts may run code of the user's, which is never under the lock; should it panic,
// the race ends all the same.

// aborted ends the race with a panic, of an attempt or of a callback; or with runtime.Goexit if there is none. After the
// end there is no caller to hear of it: it is logged, and the attempt is lost like any other that comes too late. It is the
// last thing that a goroutine does, and so it contains what panics on the way.
func (r *race) aborted(a *runner, panicValue any) {
	defer r.contain("a span or a context panicked")
	r.mu.Lock()
	first := r.state == open
	settled := a == nil || a.ended || !first
	if !settled {
		a.ended, a.err = true, telemetry.ErrAborted
		r.running--
	}
	if first {
		r.state, r.panic = panicked, carried(panicValue)
	}
	r.mu.Unlock()
	switch {
	case first:
		defer r.decided()
	case panicValue != nil && a != nil:
		r.logPanic("an attempt that had lost panicked", panicValue)
	case panicValue != nil:
		r.logPanic("a callback panicked after the call was over", panicValue)
	}
	if !settled {
		r.spoken(a, telemetry.Failure, telemetry.ErrAborted)
	}
}

// contain logs a panic that has nobody left to reach.
func (r *race) contain(what string) {
	if value := recover(); value != nil {
		r.logPanic(what, value)
	}
}

// leave is for a caller whose context has ended. An attempt that heeds the context may be about to return a success: it
// is given the chance to, but no time.
func (r *race) leave(over <-chan struct{}) {
	for range 10 {
		select {
		case <-over:
			return
		default:
			runtime.Gosched()
		}
	}
	r.abandon()
	<-over // who decided it may not have come to it
}

// abandon ends the race without a result. It does nothing if it has ended.
func (r *race) abandon() {
	r.mu.Lock()
	first := r.state == open
	if first {
		r.state = left
	}
	r.mu.Unlock()
	if first {
		r.decided()
	}
}

// decided ends the race for all. It is called once, by who changed the state. It runs on the stack of an attempt, which is
// small: what may panic is contained in leaves of its own.
func (r *race) decided() {
	last := r.letGo()
	for n := range last {
		if a := r.attempt(n); a.out {
			r.lose(a)
		}
	}
	r.learn()
	r.mu.Lock()
	r.done = true
	if r.over != nil {
		close(r.over)
	}
	r.mu.Unlock()
}

// attempt is one of those that were under way when the race was decided: there will be no more. 0 is the first.
func (r *race) attempt(n int) *runner {
	if n == 0 {
		return &r.first
	}
	return r.hedges[n-1]
}

// lose ends the context of an attempt that has lost, counts it, and ends its span. Should the span panic, or a context of the
// user's own kind, that has nobody to reach.
func (r *race) lose(a *runner) {
	defer r.contain("a span or a context panicked")
	a.own.CancelCause(lost)
	r.lost(a)
}

// cancel ends the context of an attempt whose value is dropped.
func (r *race) cancel(a *runner) {
	defer r.contain("a context panicked")
	a.own.CancelCause(lost)
}

// letGo stops the timer, lets go of the context of the attempt whose value is the caller's, and marks the attempts that are
// under way as out; it returns how many there are up to the last of these. One that has failed was heard of: its context ends
// when its value has been discarded, as who drains a body first keeps a connection that would be lost.
func (r *race) letGo() (last int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	switch r.state {
	case won:
		r.winner.own.Release()
	case failed:
		r.first.own.Release()
	}
	for n := range 1 + len(r.hedges) {
		if a := r.attempt(n); !a.ended && a.own != nil {
			a.ended, a.out, last = true, true, n+1
		}
	}
	return last
}

// learn takes note of how long the first attempt took; or, if it has lost or was cut short, that it would have taken
// longer. So slow calls are learned of although they are not waited for.
func (r *race) learn() {
	defer r.contain("a context panicked")
	r.mu.Lock()
	state, failed := r.state, r.first.err != nil && !r.first.cut
	r.mu.Unlock()
	if !failed && (state == won || state == left && errors.Is(r.ctx.Err(), context.DeadlineExceeded)) {
		now := r.p.now()
		r.pace.learn(now, now-r.began)
	}
}
