package telemetry

import (
	"context"
	"log/slog"

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
	typ, name   string
	spanName    string // "retry payments"
	attemptName string // "attempt payments"
	logger      *slog.Logger
	tracing     *tracing
	metering    *metering

	// Attributes that never change are made once: an attribute made for each call is an allocation for each call.
	nameAttrs []attribute.KeyValue // policy.name
	attrs     []attribute.KeyValue // policy.name, policy.type
	spanOpts  []trace.SpanStartOption
	succeeded []metric.RecordOption
}

// NewScope returns the scope of a policy.
func NewScope(o Options) *Scope {
	s := &Scope{
		typ: o.Type, name: o.Name,
		spanName: join(o.Type, o.Name), attemptName: join("attempt", o.Name),
		logger:   o.Logger,
		tracing:  tracingFor(o.TracerProvider),
		metering: meteringFor(o.MeterProvider),
	}
	s.nameAttrs = []attribute.KeyValue{policyName.String(o.Name)}
	s.attrs = []attribute.KeyValue{policyName.String(o.Name), policyType.String(o.Type)}
	s.spanOpts = []trace.SpanStartOption{trace.WithAttributes(s.attrs...)}
	s.succeeded = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(
		append([]attribute.KeyValue{callOutcome.String(Success.String())}, s.attrs...)...))}
	return s
}

func join(word, name string) string {
	if name == "" {
		return word
	}
	return word + " " + name
}

// Active reports whether anybody wants spans or durations. It is the one question of the hot path: a few
// nanoseconds and no allocation while nothing is installed.
func (s *Scope) Active(ctx context.Context) bool {
	return s.tracing.tracer() != nil || s.metering.histogram(ctx) != nil
}

// Timed reports whether call durations are wanted.
func (s *Scope) Timed(ctx context.Context) bool { return s.metering.histogram(ctx) != nil }

// Logs reports whether a record at level would be written. Ask before building attributes.
func (s *Scope) Logs(ctx context.Context, level slog.Level) bool {
	return s.logger != nil && s.logger.Enabled(ctx, level)
}

// Log writes one record about the policy.
func (s *Scope) Log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if !s.Logs(ctx, level) {
		return
	}
	s.logger.LogAttrs(ctx, level, message, append([]slog.Attr{slog.String("policy", s.spanName)}, attrs...)...)
}
