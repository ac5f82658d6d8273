package telemetry

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

var defaultMeters = unlessReplaced(otel.GetMeterProvider())

// metering is the metrics side of one meter provider: the instruments, one callback, and the policies that the
// callback asks. Scopes keep it alive, and nothing else does: the callback, which the SDK holds, has a weak pointer.
// So when its last policy is gone it goes too, with the callback and with what it holds of the provider.
type metering struct {
	given metric.MeterProvider // nil: the global one

	bound atomic.Pointer[binding]
	// bind serialises changes of bound. It is held while the SDK registers a callback, and the SDK holds a lock of
	// its own while it runs one; so the callback must never want it. That is why sources have a lock of their own.
	bind sync.Mutex

	sourcesMu sync.Mutex
	sources   []source
	sweepAt   int // dead sources are swept out when there are this many
}

// binding is what a metering has made with the provider of the moment.
type binding struct {
	identity
	duration     metric.Float64Histogram // nil: nothing installed
	registration metric.Registration     // nil: likewise
}

var globalMetering = new(metering)

// givenMeterings are those of providers that were given in a Config, one each.
var givenMeterings = struct {
	sync.Mutex
	of map[metric.MeterProvider]weak.Pointer[metering]
}{of: map[metric.MeterProvider]weak.Pointer[metering]{}}

func meteringFor(provider metric.MeterProvider) *metering {
	if provider == nil || isDefault(provider) {
		return globalMetering
	}
	if !identify(provider).comparable {
		return &metering{given: provider} // cannot be found again: a callback for each policy
	}
	givenMeterings.Lock()
	defer givenMeterings.Unlock()
	m := givenMeterings.of[provider].Value()
	if m == nil {
		m = &metering{given: provider}
		givenMeterings.of[provider] = weak.Make(m)
		runtime.AddCleanup(m, forget, provider)
	}
	return m
}

// forget drops the entry of a metering that is gone, unless there is a new one for the same provider.
func forget(provider metric.MeterProvider) {
	givenMeterings.Lock()
	defer givenMeterings.Unlock()
	if givenMeterings.of[provider].Value() == nil {
		delete(givenMeterings.of, provider)
	}
}

// provider is the one to report to.
func (m *metering) provider() metric.MeterProvider {
	if m.given != nil {
		return m.given
	}
	provider := otel.GetMeterProvider()
	if !isDefault(provider) {
		sdkSeen.Store(true)
	}
	return provider
}

// histogram returns the instrument for call durations, or nil if nobody wants them.
func (m *metering) histogram(ctx context.Context) metric.Float64Histogram {
	b := m.bound.Load()
	if m.given == nil {
		provider := otel.GetMeterProvider()
		if provider == defaultMeters && !sdkSeen.Load() {
			return nil
		}
		if b == nil || !b.is(provider) {
			b = m.rebind()
		}
	}
	if b == nil || b.duration == nil || !b.duration.Enabled(ctx) {
		return nil
	}
	return b.duration
}

// rebind makes the instruments with the provider of the moment, unless that has been done.
//
// While nothing is installed it uses otel's default provider, which hands callback and instruments on to the
// SDK that is set first: so series are there although no call was made since. The first call under that SDK comes
// here and finds that nothing is to be moved. It takes none of the SDK's locks then, so it neither waits for a
// collection under way nor deadlocks if it is made by somebody's callback in one.
//
// When another SDK replaces the first, the next call, or the next policy that is made, moves the callback over. Until
// that is done a collection may miss the observed metrics once; the other order could count them twice.
func (m *metering) rebind() *binding {
	m.bind.Lock()
	defer m.bind.Unlock()

	provider, old := m.provider(), m.bound.Load()
	if old != nil && old.is(provider) {
		return old
	}
	b := &binding{identity: identify(provider)}
	if old.reportsTo(provider) {
		b.duration, b.registration = old.duration, old.registration
	} else {
		old.unregister()
		b.register(provider, m)
		if m.given != nil { // it stays with that one
			runtime.AddCleanup(m, (*binding).unregister, b)
		}
	}
	m.bound.Store(b)
	return b
}

// reportsTo reports whether the meter that was bound is the one of provider too.
func (b *binding) reportsTo(provider metric.MeterProvider) bool {
	if b == nil || b.registration == nil || provider == nil {
		return false
	}
	old, present := identify(meterOf(b.provider.(metric.MeterProvider))), meterOf(provider)
	return old.comparable && old.provider == any(present)
}

func meterOf(provider metric.MeterProvider) metric.Meter {
	return provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
}

func (b *binding) register(provider metric.MeterProvider, m *metering) {
	switch provider.(type) {
	case nil, noop.MeterProvider, *noop.MeterProvider:
		return
	}
	meter := meterOf(provider)
	in, all, err := newInstruments(meter)
	if err != nil {
		otel.Handle(err)
	}
	b.duration = in.duration
	self := weak.Make(m)
	b.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if m := self.Value(); m != nil {
			m.observe(o, in)
		}
		return nil
	}, all...)
	if err != nil {
		otel.Handle(err)
	}
}

func (b *binding) unregister() {
	if b == nil || b.registration == nil {
		return
	}
	if err := b.registration.Unregister(); err != nil {
		otel.Handle(err)
	}
}

// observe asks every live policy for its numbers. It runs inside a collection, under the SDK's lock. Policies of one
// name observe the same series: of counters the SDK reports the sum, of gauges what it was told last, which is the
// word of the policy that was made last.
func (m *metering) observe(o metric.Observer, in *instruments) {
	for _, s := range m.live() {
		s.policy.Observe(func(what Metric, value float64, attrs ...attribute.KeyValue) {
			common := s.scope.prepared().named
			if table[what].typed {
				common = s.scope.prepared().typed
			}
			with := metric.WithAttributeSet(attribute.NewSet(slices.Concat(common, attrs)...))
			switch {
			case in.ints[what] != nil:
				o.ObserveInt64(in.ints[what], int64(value), with)
			case in.floats[what] != nil:
				o.ObserveFloat64(in.floats[what], value, with)
			}
		})
	}
}
