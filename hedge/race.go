package hedge

import (
	"context"
	"errors"
	"math"
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

func (r *race) begin(ctx context.Context, p *Policy, at *pace, x *exchange) {
	r.p, r.pace, r.ctx, r.exchange = p, at, ctx, x
	p.counts.calls.Add()
	if p.scope.Active(ctx) {
		r.ctx, r.tel = p.scope.StartCall(ctx)
	}
	r.began = p.now()
	p.load.called(r.began, &p.counts.calls)
	r.delay = at.delay()
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
	if r.tel != nil && !r.p.cfg.NoAttemptSpans {
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
		a.own.CancelCause(lost)
		a.tel.End(telemetry.Lost, nil)
		return false
	}
	if r.exchange != nil && a == &r.first {
		r.exchange.begin(a.ctx)
	}
	return true
}

// hedge starts another attempt if there may be one, and sets the timer for the one after it.
func (r *race) hedge(by starter) {
	a := r.admit()
	if a != nil {
		r.start(a, by)
	}
	r.arm(by, a != nil)
}

// admit returns another attempt if there may be one. Should the Budget panic, that ends the race, and what is reserved is
// of no account.
func (r *race) admit() *runner {
	if r.ctx.Err() != nil || r.pointless() { // the caller is about to go
		return nil
	}
	again, room := r.reserve()
	if !room {
		return nil
	}
	denied, why := r.denied(again)
	r.mu.Lock()
	r.refused = denied
	if !denied {
		r.granted++
		a := &runner{number: 1 + r.granted}
		r.mu.Unlock()
		return a
	}
	r.reserved--
	r.mu.Unlock()
	if !again {
		r.p.counts.denied[why].Add(1)
	}
	r.noLonger() // the others may have failed meanwhile
	return nil
}

// reserve keeps room for one more attempt, which is pending then. again is whether it is the one that was denied before.
func (r *race) reserve() (again, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.roomLocked() {
		return false, false
	}
	r.pending++
	r.reserved++
	return r.refused, true
}

// denied says why there is no hedge although there might be one more.
func (r *race) denied(again bool) (bool, denial) {
	if end, ok := r.ctx.Deadline(); ok && time.Until(end) < r.pace.typical() {
		return true, deniedDeadline
	}
	if !r.p.load.allow(r.p.counts.calls.Load(), again) {
		return true, deniedLoad
	}
	if b := r.p.cfg.Budget; b != nil && !b.Withdraw() {
		return true, deniedBudget
	}
	return false, 0
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

// arm sets the timer for the next hedge: the delay counts from the start of the last attempt. If that was denied, another
// is asked for later, after twice as long each time: the slowest calls come into the credit that others leave.
func (r *race) arm(by starter, started bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.roomLocked() {
		return
	}
	if r.next = 2 * min(max(r.next, leastWait/2), longestWait/2); started {
		r.next = r.delay
	}
	switch {
	case r.next == 0:
		go r.tick(by)
	case r.timer != nil:
		r.timer.Reset(r.next)
	default:
		r.timer = time.AfterFunc(r.next, func() { r.tick(by) })
	}
}

// Between two times that a hedge is asked for: without the least, a Delay of none would ask all the time.
const (
	leastWait   = time.Millisecond
	longestWait = time.Duration(math.MaxInt64)
)

// tick makes a hedge if there may be one. It runs in a goroutine of its own, which then is the attempt's.
func (r *race) tick(by starter) {
	over := false
	defer func() {
		if !over { // the Budget panicked
			r.aborted(nil, recover())
		}
	}()
	a := r.admit()
	ready := a != nil && r.ready(a)
	r.arm(by, a != nil)
	over = true
	if ready {
		by.run(a)
	}
}

// room reports whether there may be one more attempt, as far as their number goes.
func (r *race) room() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roomLocked()
}

func (r *race) roomLocked() bool {
	return r.state == open && len(r.hedges)+r.reserved < r.p.cfg.MaxHedges
}

// verdict is what becomes of an attempt's value.
type verdict uint8

const (
	kept    verdict = iota // for the caller
	dropped                // it failed
	late                   // it comes too late
)

// settleLocked takes the result of an attempt. A failure that wants another attempt leaves that pending.
func (r *race) settleLocked(a *runner, err error, again bool) verdict {
	if r.state != open { // decided a moment ago: another one that came with a success must not win as well
		return late
	}
	a.ended, a.err = true, err
	r.running--
	if err == nil {
		r.state, r.winner = won, a
		return kept
	}
	a.cut = r.ctx.Err() != nil
	if again {
		a.again = true
		r.pending++
	}
	if a == &r.first {
		return kept
	}
	return dropped
}

// goOn is what follows an attempt that has settled: another one, or the end.
func (r *race) goOn(a *runner, by starter) {
	if a.again {
		r.hedge(by) // should the Budget panic, that ends the race
		r.noLonger()
		return
	}
	r.mu.Lock()
	ended := r.allFailedLocked()
	r.mu.Unlock()
	if ended {
		r.decided()
	}
}

// noLonger is for an attempt that was pending, and is not to be.
func (r *race) noLonger() {
	r.mu.Lock()
	r.pending--
	ended := r.allFailedLocked()
	r.mu.Unlock()
	if ended {
		r.decided()
	}
}

// allFailedLocked ends the race if no attempt is left that could win it.
func (r *race) allFailedLocked() bool {
	if r.state != open || r.running > 0 || r.pending > 0 {
		return false
	}
	r.state = failed
	if r.ctx.Err() != nil { // then what they failed with is the caller's affair
		r.state = left
	}
	return true
}

// wantsAnother asks HedgeIf, unless it is clear that there will be none.
func (r *race) wantsAnother(err error) bool {
	if r.ctx.Err() != nil || r.pointless() {
		return false
	}
	return r.room() && r.p.cfg.HedgeIf(err)
}

// aborted ends the race with a panic, of an attempt or of a callback; or with runtime.Goexit if there is none. After the
// end there is no caller to hear of it: it is logged, and the attempt is lost like any other that comes too late.
func (r *race) aborted(a *runner, panicValue any) {
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
	if !settled {
		r.spoken(a, telemetry.Failure)
	}
	switch {
	case first:
		r.decided()
	case panicValue != nil:
		r.logPanic("an attempt that had lost panicked", panicValue)
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

// decided ends the race for all. It is called once, by who changed the state.
func (r *race) decided() {
	r.mu.Lock()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.learnLocked()
	r.letGoLocked(&r.first)
	for _, a := range r.hedges {
		r.letGoLocked(a)
	}
	r.done = true
	if r.over != nil {
		close(r.over)
	}
	r.mu.Unlock()
}

// letGoLocked ends what an attempt holds, unless its value is the caller's. One that has failed was heard of: its context
// ends when its value has been discarded, as who drains a body first keeps a connection that would be lost.
func (r *race) letGoLocked(a *runner) {
	switch {
	case a.own == nil: // it never started
	case a == r.winner, r.state == failed && a == &r.first:
		a.own.Release()
	case !a.ended:
		a.ended = true
		a.own.CancelCause(lost)
		r.lostLocked(a)
	}
}

// learnLocked takes note of how long the first attempt took; or, if it has lost or was cut short, that it would have taken
// longer. So slow calls are learned of although they are not waited for.
func (r *race) learnLocked() {
	if r.first.err != nil && !r.first.cut {
		return
	}
	if r.state == won || r.state == left && errors.Is(r.ctx.Err(), context.DeadlineExceeded) {
		now := r.p.now()
		r.pace.learn(now, now-r.began)
	}
}
