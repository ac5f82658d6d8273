package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options are what the Configs of all policies have in common.
type Options struct {
	Type           string // "retry", "breaker", …
	Name           string
	TracerProvider trace.TracerProvider // nil: the global one at the time of the call
	MeterProvider  metric.MeterProvider // likewise
	Logger         *slog.Logger         // nil: silent
}

// Scope is a policy's side of the telemetry. It is immutable and safe for concurrent use; many policies of one
// kind (the breakers of a keyed set) may share it.
type Scope struct {
	typ, name string
	logger    *slog.Logger
	tracing   *tracing
	metering  *metering
	global    bool // follows the global providers, both of them
	made      atomic.Pointer[prepared]
}

// NewScope returns the scope of a policy.
func NewScope(o Options) *Scope {
	s := &Scope{
		typ: o.Type, name: o.Name, logger: o.Logger,
		tracing: tracingFor(o.TracerProvider), metering: meteringFor(o.MeterProvider),
	}
	s.global = s.tracing == &globalTracing && s.metering == globalMetering
	return s
}

// prepared is what never changes, made once: an attribute made for each call is an allocation for each call. It is
// made when it is first wanted, so that a hundred thousand policies that nobody watches do not each carry it.
type prepared struct {
	span, attempt string               // "retry payments", "attempt payments"
	named         []attribute.KeyValue // policy.name
	typed         []attribute.KeyValue // policy.name, policy.type
	spanOptions   []trace.SpanStartOption
	succeeded     []metric.RecordOption
	waited        []metric.RecordOption
	failed        atomic.Pointer[ending] // the last one
}

// ending is how a call ended, other than well, as the histogram is told.
type ending struct {
	outcome Outcome
	word    string // error.type; empty: none
	options []metric.RecordOption
}

func (s *Scope) prepared() *prepared {
	if p := s.made.Load(); p != nil {
		return p
	}
	name, typ := policyName.String(s.name), policyType.String(s.typ)
	p := &prepared{
		span: Label(s.typ, s.name), attempt: Label("attempt", s.name),
		named: []attribute.KeyValue{name}, typed: []attribute.KeyValue{name, typ},
		spanOptions: []trace.SpanStartOption{trace.WithAttributes(name, typ)},
		succeeded: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(
			name, typ, callOutcome.String(Success.String())))},
		waited: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(name))},
	}
	s.made.Store(p) // two may do so at once: they are alike
	return p
}

// measured returns the attributes of the histogram. While calls go on failing in one way, as those that an open
// breaker refuses do by the thousand, they are made once.
func (p *prepared) measured(o Outcome, err error) []metric.RecordOption {
	if o == Success {
		return p.succeeded
	}
	word := ""
	if err != nil {
		word = ErrorType(err)
	}
	if e := p.failed.Load(); e != nil && e.outcome == o && e.word == word {
		return e.options
	}
	attrs := append([]attribute.KeyValue{callOutcome.String(o.String())}, p.typed...)
	if word != "" {
		attrs = append(attrs, errorType.String(word))
	}
	e := &ending{o, word, []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}}
	p.failed.Store(e)
	return e.options
}

// Label is how a policy is called in errors, logs and spans: "retry payments", or "retry" if it has no name.
func Label(word, name string) string {
	if name == "" {
		return word
	}
	return word + " " + name
}

// Active reports whether anybody wants spans or durations. It is the one question of the hot path: a few
// nanoseconds and no allocation while nothing is installed.
func (s *Scope) Active(ctx context.Context) bool {
	if s.global && nothingInstalled() {
		return false
	}
	return s.tracing.tracer() != nil || s.metering.histogram(ctx) != nil
}

// Timed reports whether call durations are wanted.
func (s *Scope) Timed(ctx context.Context) bool { return s.metering.histogram(ctx) != nil }

// RecordWait records that a call waited for d before it had a place, or was refused one.
func (s *Scope) RecordWait(ctx context.Context, d time.Duration) {
	if s.global && nothingInstalled() {
		return
	}
	if h := s.metering.waits(ctx); h != nil {
		h.Record(ctx, d.Seconds(), s.prepared().waited...)
	}
}

// Name is the name of the policy, or of the set that it is in.
func (s *Scope) Name() string { return s.name }

// Logs reports whether a record at level would be written. Ask before building attributes.
func (s *Scope) Logs(ctx context.Context, level slog.Level) bool {
	return s.logger != nil && s.logger.Enabled(ctx, level)
}

// Log writes one record about the policy.
func (s *Scope) Log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if !s.Logs(ctx, level) {
		return
	}
	s.logger.LogAttrs(ctx, level, message, append([]slog.Attr{slog.String("policy", Label(s.typ, s.name))}, attrs...)...)
}
