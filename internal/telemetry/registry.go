package telemetry

import (
	"slices"
	"weak"

	"go.opentelemetry.io/otel/attribute"
)

// Source is a live policy as a reader of metrics sees it.
type Source interface {
	// Observe puts each of its numbers. It is called when a reader collects, from that reader's goroutine,
	// possibly from several at once. Counters never go down.
	Observe(put func(what Metric, value float64, attrs ...attribute.KeyValue))
}

// source is one entry of the registry: it does not keep the policy alive.
type source struct {
	scope *Scope
	get   func() Source // nil when the policy is gone
}

type liveSource struct {
	scope  *Scope
	policy Source
}

// Attach lists a policy, so that its numbers are reported from now on until it is collected as garbage.
func Attach[T any, P interface {
	*T
	Source
}](s *Scope, policy P) {
	w := weak.Make((*T)(policy))
	s.metering.attach(source{scope: s, get: func() Source {
		if p := w.Value(); p != nil {
			return P(p)
		}
		return nil
	}})
}

func (m *metering) attach(s source) {
	m.sourcesMu.Lock()
	if len(m.sources) >= max(m.sweepAt, 16) {
		m.sweepLocked()
		m.sweepAt = 2 * len(m.sources) // so that sweeping costs each Attach a constant
	}
	m.sources = append(m.sources, s)
	m.sourcesMu.Unlock()

	if b := m.bound.Load(); b == nil || !b.is(m.provider()) {
		m.rebind()
	}
	m.settle()
}

// live returns the policies that are still there, and sweeps the others out.
func (m *metering) live() []liveSource {
	m.sourcesMu.Lock()
	defer m.sourcesMu.Unlock()
	alive, kept := make([]liveSource, 0, len(m.sources)), m.sources[:0]
	for _, s := range m.sources {
		if p := s.get(); p != nil {
			alive, kept = append(alive, liveSource{s.scope, p}), append(kept, s)
		}
	}
	clear(m.sources[len(kept):])
	m.sources = kept
	return alive
}

func (m *metering) sweepLocked() {
	m.sources = slices.DeleteFunc(m.sources, func(s source) bool { return s.get() == nil })
}
