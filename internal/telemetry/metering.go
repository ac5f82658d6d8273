package telemetry

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

var defaultMeters = unlessReplaced(otel.GetMeterProvider())

// metering is the metrics side of one meter provider: the instruments, one callback, and the policies that the
// callback asks.
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

var globalMetering metering

// givenMeterings are those of providers that were given in a Config, one each.
var givenMeterings = struct {
	sync.Mutex
	of map[metric.MeterProvider]*metering
}{of: map[metric.MeterProvider]*metering{}}

func meteringFor(provider metric.MeterProvider) *metering {
	if provider == nil || isDefault(provider) {
		return &globalMetering
	}
	if !identify(provider).comparable {
		return &metering{given: provider} // cannot be found again: a callback for each policy
	}
	givenMeterings.Lock()
	defer givenMeterings.Unlock()
	m := givenMeterings.of[provider]
	if m == nil {
		dropEmptyLocked()
		m = &metering{given: provider}
		givenMeterings.of[provider] = m
	}
	return m
}

// dropEmptyLocked forgets the meterings all of whose policies are gone, so that a program that makes providers
// for ever (tests do) does not keep them. A policy being made right now may still hold one; its Attach binds it
// anew.
func dropEmptyLocked() {
	for provider, m := range givenMeterings.of {
		if m.empty() {
			m.unbind()
			delete(givenMeterings.of, provider)
		}
	}
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
// SDK that is set first: so series are there although no call was made since. The first call under the new
// provider then comes here and moves the callback over, which also serves an SDK that replaces another. Between
// the two steps a collection may miss the observed metrics once; the other order could count them twice.
func (m *metering) rebind() *binding {
	m.bind.Lock()
	defer m.bind.Unlock()

	provider := m.given
	if provider == nil {
		provider = otel.GetMeterProvider()
		if !isDefault(provider) {
			sdkSeen.Store(true)
		}
	}
	old := m.bound.Load()
	if old != nil && old.is(provider) {
		return old
	}
	old.unregister()
	b := &binding{identity: identify(provider)}
	if _, silent := provider.(noop.MeterProvider); !silent {
		b.register(provider, m)
	}
	m.bound.Store(b)
	return b
}

func (m *metering) unbind() {
	m.bind.Lock()
	defer m.bind.Unlock()
	m.bound.Swap(nil).unregister()
}

func (b *binding) register(provider metric.MeterProvider, m *metering) {
	meter := provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
	in, all, err := newInstruments(meter)
	if err != nil {
		otel.Handle(err)
	}
	b.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.observe(o, in)
		return nil
	}, all...)
	if err != nil {
		otel.Handle(err)
	}
	b.duration = in.duration
}

func (b *binding) unregister() {
	if b == nil || b.registration == nil {
		return
	}
	if err := b.registration.Unregister(); err != nil {
		otel.Handle(err)
	}
}

// observe asks every live policy for its numbers. It runs inside a collection, under the SDK's lock.
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
