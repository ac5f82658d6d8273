package hedge

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// startSpan starts the span of an attempt.
func (r *race) startSpan(a *runner) (context.Context, telemetry.Attempt) {
	delay := time.Duration(0)
	if a != &r.first {
		delay = r.p.now() - r.began
	}
	if r.exchange != nil && a != &r.first {
		return r.tel.StartAttempt(&a.numbered, a.number, a.kind(), delay, telemetry.ResendCount(a.number-1))
	}
	return r.tel.StartAttempt(&a.numbered, a.number, a.kind(), delay)
}

// spoken counts how an attempt ended, and ends its span.
func (r *race) spoken(a *runner, o telemetry.Outcome, err error) {
	r.p.counts.attempt(a.kind(), o)
	a.tel.End(o, err)
}

// lost is spoken for an attempt under way that is not waited for any more. If that is because the caller went, it ended as
// the call did, as it would have if it had returned at once.
func (r *race) lost(a *runner) {
	r.mu.Lock()
	state := r.state
	r.mu.Unlock()
	if state == left {
		if err := r.ctx.Err(); err != nil {
			r.spoken(a, r.outcomeOf(err), err)
			return
		}
	}
	r.spoken(a, telemetry.Lost, nil)
}

// outcomeOf is the outcome of an attempt that failed.
func (r *race) outcomeOf(err error) telemetry.Outcome {
	switch {
	case errors.Is(r.ctx.Err(), context.Canceled):
		return telemetry.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return telemetry.Timeout
	default:
		return telemetry.Failure
	}
}

// endSpans ends the call's.
func (r *race) endSpans(o telemetry.Outcome, err error) {
	made := 1 + len(r.hedges)
	if r.winner != nil && r.tel.Recording() {
		r.tel.SetAttributes(telemetry.HedgeWinner(r.winner.number))
	}
	r.tel.End(r.ctx, o, err, made)
}
