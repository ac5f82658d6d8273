package breaker

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/keyed"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// KeyedConfig is the Config that all breakers of a [Keyed] share, and how many there may be.
type KeyedConfig struct {
	Config

	// MaxKeys bounds how many keys have a breaker at a time. Beyond it the least recently used goes, and with it what
	// it knew. Default 10,000.
	MaxKeys int

	// IdleAfter is how long a key may go unused before its breaker goes, and what was set by Force with it. Default 10
	// minutes; negative: for ever.
	IdleAfter time.Duration
}

const (
	defaultMaxKeys   = 10_000
	defaultIdleAfter = 10 * time.Minute
)

// UnmarshalJSON reads the fields of Config, and {"max_keys": 100, "idle_after": "1h"}.
func (c *KeyedConfig) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c KeyedConfig) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

func (c *KeyedConfig) fields() conf.Fields {
	return append(c.Config.fields(), conf.Field{Key: "max_keys", To: &c.MaxKeys}, conf.Field{Key: "idle_after", To: &c.IdleAfter})
}

// Keyed has a breaker for each key: a host, a tenant, a shard. It is bounded in memory whatever keys come, and safe for
// concurrent use. A nil Keyed has no breakers: all calls pass.
type Keyed[K comparable] struct {
	set      atomic.Pointer[settings]
	name     string
	breakers *keyed.Map[K, *Breaker]

	// A breaker's totals are either in all or in gone, so that the metrics of the set never go down.
	mu   sync.Mutex
	all  map[*Breaker]struct{}
	gone report
}

// NewKeyed returns an empty set, or an error that names every field of c that cannot work.
func NewKeyed[K comparable](c KeyedConfig) (*Keyed[K], error) {
	f := conf.Check("breaker.KeyedConfig")
	c.Config.check(f)
	f.Want(c.MaxKeys >= 0, "MaxKeys", c.MaxKeys, "at least 1 (default 10000)")
	if err := f.Err(); err != nil {
		return nil, err
	}
	k := &Keyed[K]{name: c.Name, all: map[*Breaker]struct{}{}}
	k.set.Store(newSettings(c.Config))
	k.breakers = keyed.New(keyed.Config[K, *Breaker]{
		MaxKeys:   conf.Or(c.MaxKeys, defaultMaxKeys),
		IdleAfter: conf.Or(c.IdleAfter, defaultIdleAfter),
		New:       k.made,
		Evicted:   k.evicted,
	})
	telemetry.Attach(k.set.Load().scope, (*keyedSource[K])(k))
	return k, nil
}

// MustNewKeyed is NewKeyed for package variables: it panics where NewKeyed returns an error.
func MustNewKeyed[K comparable](c KeyedConfig) *Keyed[K] {
	k, err := NewKeyed[K](c)
	if err != nil {
		panic(err)
	}
	return k
}

// Get returns the breaker of a key, making it if need be. Hold on to it for a call, not for longer: a key that goes
// unused loses its breaker.
func (k *Keyed[K]) Get(key K) *Breaker {
	if k == nil {
		return nil
	}
	return k.breakers.Get(key)
}

// Len returns how many keys have a breaker.
func (k *Keyed[K]) Len() int {
	if k == nil {
		return 0
	}
	return k.breakers.Len()
}

// All returns the keys and breakers that are there, in no order, for a page or a log. It does not count as use.
func (k *Keyed[K]) All() iter.Seq2[K, *Breaker] {
	if k == nil {
		return func(func(K, *Breaker) bool) {}
	}
	return k.breakers.All()
}

// nameOf is the name of a key's breaker in errors and events. Metrics and spans carry the set's name alone, for keys
// have no bound.
func (k *Keyed[K]) nameOf(key K) string {
	if k.name == "" {
		return fmt.Sprint(key)
	}
	return fmt.Sprintf("%s[%v]", k.name, key)
}

func (k *Keyed[K]) made(key K) *Breaker {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := newBreaker(k.set.Load(), k.nameOf(key))
	k.all[b] = struct{}{}
	return b
}

func (k *Keyed[K]) evicted(_ K, b *Breaker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, b)
	k.gone.addTotals(b)
	b.gen.Load().opening.disarm()
}

// keyedSource is a Keyed as telemetry sees it: one series, its status how many breakers are in each state.
type keyedSource[K comparable] Keyed[K]

// Observe implements telemetry.Source.
func (k *keyedSource[K]) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	k.breakers.Len() // lets those go that are idle
	k.mu.Lock()
	r := k.gone
	for b := range k.all {
		r.addTotals(b)
		r.addState(b)
	}
	k.mu.Unlock()
	r.put(put)
}
