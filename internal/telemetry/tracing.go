package telemetry

import (
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// otel's own default provider forwards to whatever SDK is set first. While it is still the global one, nothing
// is installed, and a span would cost 131 ns and three allocations for nobody. Its type is not exported, so it is
// known by the package that it lives in; a test pins that. If that ever changes, spans are started needlessly,
// never lost.
var (
	defaultTracers = unlessReplaced(otel.GetTracerProvider())

	// sdkSeen is set once any other provider has been the global one. From then on the default provider may be
	// forwarding to an SDK (somebody has put it back), so it no longer counts as nothing.
	sdkSeen atomic.Bool
)

// nothingInstalled reports whether both global providers are still otel's own.
func nothingInstalled() bool {
	return otel.GetTracerProvider() == defaultTracers && otel.GetMeterProvider() == defaultMeters && !sdkSeen.Load()
}

// unlessReplaced returns provider if it is otel's default, and the zero value if an SDK was set before this
// package was initialised.
func unlessReplaced[P any](provider P) (none P) {
	if isDefault(provider) {
		return provider
	}
	return none
}

func isDefault(provider any) bool {
	t := reflect.TypeOf(provider)
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// tracing finds the tracer for one provider: a given one, or the global one at the time of the call.
type tracing struct {
	given trace.TracerProvider // nil: the global one
	found atomic.Pointer[foundTracer]
}

type foundTracer struct {
	identity
	tracer trace.Tracer // nil: a provider that records nothing
}

// globalTracing is shared by all policies that follow the global provider, so that its one cached tracer stays
// in every core's cache.
var globalTracing tracing

func tracingFor(provider trace.TracerProvider) *tracing {
	if provider == nil || isDefault(provider) {
		return &globalTracing // the default provider, kept in a Config before the SDK was set, means the same
	}
	return &tracing{given: provider}
}

// tracer returns the tracer to start spans with, or nil if nothing is installed.
func (t *tracing) tracer() trace.Tracer {
	provider := t.given
	if provider == nil {
		provider = otel.GetTracerProvider()
		if provider == defaultTracers && !sdkSeen.Load() {
			return nil
		}
	}
	if f := t.found.Load(); f != nil && f.is(provider) {
		return f.tracer
	}
	return t.find(provider)
}

// find asks a provider that was not there at the last call for its tracer. Two callers may both do so; either
// answer will do.
func (t *tracing) find(provider trace.TracerProvider) trace.Tracer {
	if t.given == nil {
		sdkSeen.Store(true)
	}
	f := &foundTracer{identity: identify(provider)}
	switch provider.(type) {
	case nil, noop.TracerProvider, *noop.TracerProvider:
	default:
		f.tracer = provider.Tracer(ScopeName, trace.WithInstrumentationVersion(Version))
	}
	t.found.Store(f)
	return f.tracer
}

// identity is a provider to be recognised later. Comparing two interfaces of one uncomparable type panics, so
// whether it can be compared is found out once, when it is first seen.
type identity struct {
	provider   any
	comparable bool
}

func identify(provider any) identity {
	return identity{provider: provider, comparable: reflect.ValueOf(provider).Comparable()}
}

func (i *identity) is(provider any) bool {
	if i.comparable {
		return i.provider == provider
	}
	// All that can be seen of an uncomparable provider is its type; one replaced by another of the same type
	// keeps the first's tracer.
	return reflect.TypeOf(i.provider) == reflect.TypeOf(provider)
}
