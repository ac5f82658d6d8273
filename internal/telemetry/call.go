package telemetry

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Call is one call under a policy, as traces and the histogram see it. A nil Call records nothing: on the good path
// there is none, so that the caller's frame stays small. It belongs to one goroutine.
type Call struct {
	scope    *Scope
	span     trace.Span // nil: not traced
	tracer   trace.Tracer
	duration metric.Float64Histogram // nil: not timed
	start    time.Time

	Attempt Attempt // under way, of a policy that makes one after the other
}

// StartCall starts the span of a call that may make several attempts.
func (s *Scope) StartCall(ctx context.Context) (context.Context, *Call) {
	return s.start(ctx, s.tracing.tracer(), nil)
}

// StartPolicy starts the span of a call through a policy that only lets it pass or refuses it. There is one only
// under a parent that records, and only if the policy's spans are wanted.
func (s *Scope) StartPolicy(ctx context.Context, spans bool, opts ...trace.SpanStartOption) (context.Context, *Call) {
	if !spans || !trace.SpanFromContext(ctx).IsRecording() {
		return s.start(ctx, nil, nil)
	}
	return s.start(ctx, s.tracing.tracer(), opts)
}

// start returns no Call if there is neither a tracer nor somebody who wants durations.
func (s *Scope) start(ctx context.Context, tracer trace.Tracer, opts []trace.SpanStartOption) (context.Context, *Call) {
	duration := s.metering.histogram(ctx)
	if tracer == nil && duration == nil {
		return ctx, nil
	}
	c := &Call{scope: s, tracer: tracer, duration: duration}
	if duration != nil {
		c.start = time.Now()
	}
	if tracer != nil {
		ctx, c.span = tracer.Start(ctx, s.prepared().span, append(slices.Clip(s.prepared().spanOptions), opts...)...)
	}
	return ctx, c
}

// Recording reports whether the call's span is kept, so that attributes are worth making.
func (c *Call) Recording() bool { return c != nil && c.span != nil && c.span.IsRecording() }

// SpanContext identifies the call's span; it is not valid if there is none.
func (c *Call) SpanContext() trace.SpanContext {
	if c == nil || c.span == nil {
		return trace.SpanContext{}
	}
	return c.span.SpanContext()
}

// SetAttributes adds to the span.
func (c *Call) SetAttributes(attrs ...attribute.KeyValue) {
	if c != nil && c.span != nil {
		c.span.SetAttributes(attrs...)
	}
}

// End ends the call. attempts is how many were made; 0 leaves it out.
func (c *Call) End(ctx context.Context, o Outcome, err error, attempts int) {
	if c == nil {
		return
	}
	if c.duration != nil {
		c.duration.Record(ctx, time.Since(c.start).Seconds(), c.scope.prepared().measured(o, err)...)
	}
	if c.span == nil {
		return
	}
	if c.span.IsRecording() {
		if attempts > 0 {
			c.span.SetAttributes(callAttempts.Int(attempts))
		}
		c.span.SetAttributes(callOutcome.String(o.String()))
		setError(c.span, o, err)
	}
	c.span.End()
}

// Attempt is one run of the guarded function under a call. The zero Attempt records nothing.
type Attempt struct{ span trace.Span }

// StartAttempt starts the span of an attempt, under a call that is recorded. number counts from 1, delay is what
// was waited for before it.
func (c *Call) StartAttempt(ctx context.Context, number int, k AttemptKind, delay time.Duration, attrs ...attribute.KeyValue) (context.Context, Attempt) {
	if !c.Recording() {
		return ctx, Attempt{}
	}
	attrs = append(attrs, attemptNumber.Int(number), Kind(k))
	if delay > 0 {
		attrs = append(attrs, attemptDelay.Float64(delay.Seconds()))
	}
	ctx, span := c.tracer.Start(ctx, c.scope.prepared().attempt, trace.WithAttributes(attrs...))
	return ctx, Attempt{span}
}

// End ends the attempt.
func (a Attempt) End(o Outcome, err error) {
	if a.span == nil {
		return
	}
	a.span.SetAttributes(attemptOutcome.String(o.String()))
	setError(a.span, o, err)
	a.span.End()
}

// setError marks a span as failed. The caller's cancellation, what is ignored and a lost hedge are nobody's failure: they stay
// unmarked. The text of an error stays out of it: it may hold a secret, and it has no bound.
func setError(span trace.Span, o Outcome, err error) {
	if o == Success || o == Lost || err == nil {
		return
	}
	word := ErrorType(err)
	span.SetAttributes(errorType.String(word))
	if o != Canceled && o != Ignored {
		span.SetStatus(codes.Error, word)
	}
}
