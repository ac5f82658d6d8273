package bulkhead

import (
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/keyed"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// KeyedConfig is the Config that all bulkheads of a [Keyed] share, what they have together, and how many there may be.
type KeyedConfig struct {
	// Config is that of each key's bulkhead. Its Limit is the most that one key can have; default a quarter of Total.
	Config

	// Total is how many calls run at a time, of all keys together. Required. Where all places are taken, the calls that
	// have their key's place wait for one of the total's, by Queue, MaxWait and the rest of Config.
	Total int

	// MaxKeys bounds how many keys have a bulkhead at a time. Beyond it the least recently used goes; one whose calls
	// still run comes back as it was when its key does. Default 10,000.
	MaxKeys int

	// IdleAfter is how long a key may go unused before its bulkhead goes. Default 10 minutes; negative: for ever.
	IdleAfter time.Duration
}

const (
	defaultShare     = 4 // of the total, one part
	defaultMaxKeys   = 10_000
	defaultIdleAfter = 10 * time.Minute
)

// UnmarshalJSON reads the fields of Config, and {"total": 1000, "max_keys": 100, "idle_after": "1h"}.
func (c *KeyedConfig) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c KeyedConfig) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

func (c *KeyedConfig) fields() conf.Fields {
	return append(c.Config.fields(), conf.Field{Key: "total", To: &c.Total},
		conf.Field{Key: "max_keys", To: &c.MaxKeys}, conf.Field{Key: "idle_after", To: &c.IdleAfter})
}

// Keyed has a bulkhead for each key, a tenant or a dependency, under a common total: one that hangs, or is greedy, takes
// its own share and leaves the others theirs. It is bounded in memory whatever keys come, and safe for concurrent use.
// A nil Keyed has no bulkheads: all calls pass.
type Keyed[K comparable] struct {
	set       *settings
	name      string
	total     *Bulkhead
	bulkheads *keyed.Map[K, *Bulkhead]

	// A bulkhead is in all until it has been evicted and its last call has ended; then its totals are in gone, so that the
	// metrics of the set never go down.
	mu      sync.Mutex
	all     map[*Bulkhead]struct{}
	evicted map[K]*Bulkhead // those whose calls still ran: about as many as the total has calls
	sweepAt int             // they are swept when there are this many
	gone    report
}

// NewKeyed returns an empty set, or an error that names every field of c that cannot work.
func NewKeyed[K comparable](c KeyedConfig) (*Keyed[K], error) {
	f := conf.Check("bulkhead.KeyedConfig")
	f.Want(c.Total >= 1 && c.Total <= maxLimit, "Total", c.Total, "at least 1 and at most 1000000")
	f.Want(c.Limit <= max(c.Total, 1), "Limit", c.Limit, fmt.Sprintf("at most Total (%d)", c.Total))
	if c.Limit == 0 && c.Adaptive == nil {
		c.Limit = max(c.Total/defaultShare, 1)
	}
	c.Config.check(f)
	f.Want(c.MaxKeys >= 0, "MaxKeys", c.MaxKeys, "at least 1 (default 10000)")
	if err := f.Err(); err != nil {
		return nil, err
	}
	k := &Keyed[K]{
		set: newSettings(c.Config), name: c.Name, total: newTotal(c),
		all: map[*Bulkhead]struct{}{}, evicted: map[K]*Bulkhead{},
	}
	k.bulkheads = keyed.New(keyed.Config[K, *Bulkhead]{
		MaxKeys:   conf.Or(c.MaxKeys, defaultMaxKeys),
		IdleAfter: conf.Or(c.IdleAfter, defaultIdleAfter),
		New:       k.made,
		Evicted:   k.leaves,
	})
	telemetry.Attach(k.set.scope, (*keyedSource[K])(k))
	return k, nil
}

// newTotal makes the bulkhead that all keys share.
func newTotal(c KeyedConfig) *Bulkhead {
	c.Limit, c.Adaptive, c.Rate, c.Burst = c.Total, nil, 0, 0
	return newBulkhead(newSettings(c.Config), c.Name, nil)
}

// MustNewKeyed is NewKeyed for package variables: it panics where NewKeyed returns an error.
func MustNewKeyed[K comparable](c KeyedConfig) *Keyed[K] {
	k, err := NewKeyed[K](c)
	if err != nil {
		panic(err)
	}
	return k
}

// Get returns the bulkhead of a key, making it if need be. Hold on to it for a call, not for longer: a key that goes
// unused loses its bulkhead.
func (k *Keyed[K]) Get(key K) *Bulkhead {
	if k == nil {
		return nil
	}
	return k.bulkheads.Get(key)
}

// Total returns the bulkhead that all keys share, to look at and to Resize. A call through it alone is no key's.
func (k *Keyed[K]) Total() *Bulkhead {
	if k == nil {
		return nil
	}
	return k.total
}

// Len returns how many keys have a bulkhead.
func (k *Keyed[K]) Len() int {
	if k == nil {
		return 0
	}
	return k.bulkheads.Len()
}

// All returns the keys and bulkheads that are there, in no order, for a page or a log. It does not count as use.
func (k *Keyed[K]) All() iter.Seq2[K, *Bulkhead] {
	if k == nil {
		return func(func(K, *Bulkhead) bool) {}
	}
	return k.bulkheads.All()
}

// Handler is [Handler] with a bulkhead for each key: a tenant, say, as authentication has found it. Keys that come from
// strangers are bounded in memory, but each is a share of its own.
func (k *Keyed[K]) Handler(key func(*http.Request) K, next http.Handler) http.Handler {
	if next == nil || key == nil {
		panic("bulkhead.Keyed.Handler: key or next is nil")
	}
	if k == nil {
		return next
	}
	return &handler{next, func(r *http.Request) *Bulkhead { return k.Get(key(r)) }}
}

// Transport is [Transport] with a bulkhead for each key; [Host] is the key for one for each host.
func (k *Keyed[K]) Transport(key func(*http.Request) K, next http.RoundTripper) http.RoundTripper {
	if key == nil {
		panic("bulkhead.Keyed.Transport: key is nil")
	}
	return &transport{httpx.Next(next), func(r *http.Request) *Bulkhead {
		if k == nil {
			return nil
		}
		return k.Get(key(r))
	}}
}

// nameOf is the name of a key's bulkhead in errors. Metrics and spans carry the set's name alone, for keys have no bound.
func (k *Keyed[K]) nameOf(key K) string {
	if k.name == "" {
		return fmt.Sprint(key)
	}
	return fmt.Sprintf("%s[%v]", k.name, key)
}

// made makes the bulkhead of a key, or finds the one that it had: while calls of that run, another would be a second
// share.
func (k *Keyed[K]) made(key K) *Bulkhead {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.evicted[key]; b != nil {
		delete(k.evicted, key)
		return b
	}
	b := newBulkhead(k.set, k.nameOf(key), k.total)
	k.all[b] = struct{}{}
	return b
}

// leaves keeps a bulkhead that is evicted until its last call has ended.
func (k *Keyed[K]) leaves(key K, b *Bulkhead) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b.idle() {
		k.goneLocked(b)
		return
	}
	k.evicted[key] = b
	if len(k.evicted) >= max(k.sweepAt, 16) {
		k.sweepLocked()
		k.sweepAt = 2 * len(k.evicted) // so that sweeping costs each eviction a constant
	}
}

// sweepLocked lets those go that were evicted and are idle now.
func (k *Keyed[K]) sweepLocked() {
	for key, b := range k.evicted {
		if b.idle() {
			delete(k.evicted, key)
			k.goneLocked(b)
		}
	}
}

func (k *Keyed[K]) goneLocked(b *Bulkhead) {
	delete(k.all, b)
	k.gone.addRefusals(b)
}

// idle reports whether no call has a place or waits for one.
func (b *Bulkhead) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slots.inUse() == 0 && b.queue.len == 0
}

// keyedSource is a Keyed as telemetry sees it: one series.
type keyedSource[K comparable] Keyed[K]

// Observe implements telemetry.Source.
func (k *keyedSource[K]) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	k.bulkheads.Len() // lets those go that are idle
	var use report
	k.mu.Lock()
	(*Keyed[K])(k).sweepLocked()
	r := k.gone
	for b := range k.all {
		r.addRefusals(b)
		use.addUse(b)
	}
	k.mu.Unlock()
	total := &report{}
	total.addUse(k.total)
	r.used, r.queued = total.used, use.queued+total.queued
	r.limit, r.queueLimit = k.total.bounds()
	r.put(put)
}
