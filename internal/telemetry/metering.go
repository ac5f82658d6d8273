package telemetry

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
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
	// bind is held by the one move that may be under way, and so for as long as the SDK keeps that waiting: callers
	// only ever try it. The callback wants neither bind nor what the SDK holds; sources have a lock of their own.
	bind sync.Mutex

	sourcesMu sync.Mutex
	sources   []source
	sweepAt   int // dead sources are swept out when there are this many
}

// binding is what a metering has made with the provider of the moment.
type binding struct {
	identity
	duration     metric.Float64Histogram // nil: nothing installed, or not made yet
	waited       metric.Float64Histogram // likewise
	registration metric.Registration     // nil: likewise
	moving       *patience               // nil: all is made
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
	if b := m.installed(); b != nil {
		return wanted(ctx, b.duration)
	}
	return nil
}

// waits is histogram for the time that calls waited.
func (m *metering) waits(ctx context.Context) metric.Float64Histogram {
	if b := m.installed(); b != nil {
		return wanted(ctx, b.waited)
	}
	return nil
}

func wanted(ctx context.Context, h metric.Float64Histogram) metric.Float64Histogram {
	if h == nil || !h.Enabled(ctx) {
		return nil
	}
	return h
}

// installed returns what was made with the provider of the moment; nil if there is none, or nothing is made yet.
func (m *metering) installed() *binding {
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
	return b
}

// rebind has the instruments made with the provider of the moment, unless that has been done. It returns nil if they
// are not there yet. It never waits, since its caller may be a callback in a collection: the SDK holds its pipeline's
// lock while it runs one, and takes that lock to make an instrument and to register or unregister a callback. It does
// not take it to find a meter.
//
// While nothing is installed it uses otel's default provider, which hands callback and instruments on to the
// SDK that is set first: so series are there although no call was made since. The first call under that SDK comes
// here and finds that nothing is to be moved.
//
// Otherwise (another SDK replaces the first, or one was there before any policy, or is given in a Config) the
// instruments are made and the callback is moved over by a goroutine, the only one that this package starts. Who
// starts it has locked bind for it, so that there is one at a time. Nobody need wait for it: it wants nothing but the
// SDK's own locks, which are free when the collection under way is over, and then it ends. Until then calls are not
// timed.
func (m *metering) rebind() *binding {
	provider, old := m.provider(), m.bound.Load()
	if old != nil && old.is(provider) {
		return old
	}
	meter := meterOf(provider)
	if old.reportsTo(meter) {
		b := &binding{identity: identify(provider), duration: old.duration, waited: old.waited, registration: old.registration}
		m.bound.CompareAndSwap(old, b) // else somebody else has done so, or a move has begun
		return b
	}
	if !m.bind.TryLock() {
		return nil // the move under way looks again when it is done
	}
	if old = m.bound.Load(); old != nil && old.is(provider) {
		m.bind.Unlock()
		return old
	}
	if old == nil && m.given == nil && provider == defaultMeters && !sdkSeen.Load() {
		return m.move(nil, provider, meter) // there is no SDK, and so no lock of one
	}
	// From here on calls see that this provider is known, and do not come here.
	old = m.bound.Swap(&binding{identity: identify(provider), moving: &patience{since: time.Now()}})
	go m.move(old, provider, meter)
	return nil
}

// move takes the callback from the old binding's provider to another, and unlocks bind. Until that is done a collection
// may miss the observed metrics once; the other order could count them twice.
func (m *metering) move(old *binding, provider metric.MeterProvider, meter metric.Meter) *binding {
	old.unregister()
	b := &binding{identity: identify(provider)}
	b.register(meter, m)
	if m.given != nil { // it stays with that one
		runtime.AddCleanup(m, (*binding).unregister, b)
	}
	m.bound.Store(b)
	m.bind.Unlock()
	m.rebind() // who came with yet another provider, and found bind locked, left it to us
	return b
}

// patience is what those who make policies have, together, with one move.
type patience struct {
	since  time.Time
	yields atomic.Int64
}

// settle is for who makes a policy; calls do without. It gives a move under way the time to be done, some ten
// microseconds, so that a policy's first call and the next collection find its metrics. The collection that holds the
// move up may be its own, so it gives in: all those who make policies then have lost some 30 ms together, and on a busy
// machine a second. It neither sleeps nor waits on a channel: in a synctest bubble time stands still while the move
// wants a lock, hence the bound on the yields, and who makes the next policy may not be in the same bubble.
func (m *metering) settle() {
	for {
		b := m.bound.Load()
		if b == nil || b.moving == nil {
			return
		}
		n := b.moving.yields.Add(1)
		if n > 300_000 || n > 1000 && time.Since(b.moving.since) > time.Second {
			return
		}
		runtime.Gosched()
	}
}

// reportsTo reports whether the meter that was bound is this one.
func (b *binding) reportsTo(meter metric.Meter) bool {
	if b == nil || b.registration == nil || meter == nil {
		return false
	}
	old := identify(meterOf(b.provider.(metric.MeterProvider)))
	return old.comparable && old.provider == any(meter)
}

// meterOf returns nil for a provider that records nothing.
func meterOf(provider metric.MeterProvider) metric.Meter {
	switch provider.(type) {
	case nil, noop.MeterProvider, *noop.MeterProvider:
		return nil
	}
	return provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version))
}

func (b *binding) register(meter metric.Meter, m *metering) {
	if meter == nil {
		return
	}
	in, all, err := newInstruments(meter)
	if err != nil {
		otel.Handle(err)
	}
	b.duration, b.waited = in.duration, in.waited
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
