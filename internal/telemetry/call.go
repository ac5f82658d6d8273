package telemetry

import (
	"context"
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
}

// StartCall starts the span of a call that may make several attempts.
func (s *Scope) StartCall(ctx context.Context) (context.Context, *Call) {
	c := s.timedCall(ctx)
	if tracer := s.tracing.tracer(); tracer != nil {
		c.tracer = tracer
		ctx, c.span = tracer.Start(ctx, s.prepared().span, s.prepared().spanOptions...)
	}
	return ctx, c
}

// StartPolicy starts the span of a call through a policy that only lets it pass or refuses it. There is one only
// under a parent that records, and only if the policy's spans are wanted.
func (s *Scope) StartPolicy(ctx context.Context, spans bool, opts ...trace.SpanStartOption) (context.Context, *Call) {
	c := s.timedCall(ctx)
	if !spans {
		return ctx, c
	}
	if tracer := s.tracing.tracer(); tracer != nil && trace.SpanFromContext(ctx).IsRecording() {
		c.tracer = tracer
		ctx, c.span = tracer.Start(ctx, s.prepared().span, append(opts, s.prepared().spanOptions...)...)
	}
	return ctx, c
}

func (s *Scope) timedCall(ctx context.Context) *Call {
	c := &Call{scope: s, duration: s.metering.histogram(ctx)}
	if c.duration != nil {
		c.start = time.Now()
	}
	return c
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
		c.duration.Record(ctx, time.Since(c.start).Seconds(), c.measured(o, err)...)
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

func (c *Call) measured(o Outcome, err error) []metric.RecordOption {
	if o == Success {
		return c.scope.prepared().succeeded
	}
	attrs := append([]attribute.KeyValue{callOutcome.String(o.String())}, c.scope.prepared().typed...)
	if err != nil {
		attrs = append(attrs, errorType.String(ErrorType(err)))
	}
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
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

// setError marks a span as failed. The caller's cancellation and a lost hedge are nobody's failure: they stay
// unmarked. The text of an error stays out of it: it may hold a secret, and it has no bound.
func setError(span trace.Span, o Outcome, err error) {
	if o == Success || o == Lost || err == nil {
		return
	}
	word := ErrorType(err)
	span.SetAttributes(errorType.String(word))
	if o != Canceled {
		span.SetStatus(codes.Error, word)
	}
}
