package bulkhead

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/keyed"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// KeyedConfig is the Config that all bulkheads of a [Keyed] share, what they have together, and how many there may be.
type KeyedConfig struct {
	// Config is that of each key's bulkhead, its Queue and its Rate too. The most places that one key can have, its share,
	// is Limit, or with Adaptive its Max; default a quarter of Total. So it takes four keys that hang to have it all.
	Config

	// Total is how many calls run at a time, of all keys together. Required. Where all places are taken, the calls that
	// have their key's place wait for one of the total's, by Queue, MaxWait and the rest of Config.
	Total int

	// MaxKeys bounds how many keys have a bulkhead at a time. Beyond it the least recently used goes; one whose calls
	// still run comes back as it was when its key does. Default 10,000.
	MaxKeys int

	// IdleAfter is how long a key may go unused before its bulkhead goes, and what was set by Resize with it. Default 10
	// minutes; negative: for ever.
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

// check fills in each key's share and reports every field that cannot work.
func (c *KeyedConfig) check(f *conf.Faults) {
	f.Want(c.Total >= 1 && c.Total <= maxLimit, "Total", c.Total, "at least 1 and at most 1000000")
	share, most := max(c.Total/defaultShare, 1), c.Total
	if most < 1 {
		most = maxLimit // that is the fault
	}
	within := fmt.Sprintf("at most Total (%d)", c.Total)
	f.Want(c.Limit <= most, "Limit", c.Limit, within)
	switch a := c.Adaptive; {
	case a == nil:
		c.Limit = conf.Or(c.Limit, share)
	case a.Max == 0:
		f.Want(a.Min <= most, "Adaptive.Min", a.Min, within)
		f.Want(a.Initial <= most, "Adaptive.Initial", a.Initial, within)
		own := *a
		own.Max = max(share, a.Min, a.Initial, c.Limit)
		c.Adaptive = &own
	default:
		f.Want(a.Max <= most, "Adaptive.Max", a.Max, within)
	}
	c.Config.check(f)
	f.Want(c.MaxKeys >= 0, "MaxKeys", c.MaxKeys, "at least 1 (default 10000)")
}

// Keyed has a bulkhead for each key, a tenant or a dependency, under a common total: one that hangs, or is greedy, takes
// its own share and leaves the others theirs. It is bounded in memory whatever keys come, and safe for concurrent use.
// A nil Keyed has no bulkheads: all calls pass.
type Keyed[K comparable] struct {
	*base
	set       atomic.Pointer[settings]
	name      string
	total     *Bulkhead // it counts the calls of all keys, so that what the set has counted never goes down
	bulkheads *keyed.Map[K, *Bulkhead]

	// known has every bulkhead that anybody still has, evicted or not: a call that runs or waits in it, or a caller who
	// has just got it. While there is one its key has no other, which would be a second share.
	mu      sync.Mutex // guards changes of set, too
	known   map[K]weak.Pointer[Bulkhead]
	sweepAt int // those that are gone are swept out when there are this many
}

// NewKeyed returns an empty set, or an error that names every field of c that cannot work.
func NewKeyed[K comparable](c KeyedConfig) (*Keyed[K], error) {
	f := conf.Check("bulkhead.KeyedConfig")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	of, s := newBase(c.Config, true), newSettings(c.Config)
	k := &Keyed[K]{base: of, name: c.Name, total: newBulkhead(of, s.ofTotal(c.Total), c.Name, nil), known: map[K]weak.Pointer[Bulkhead]{}}
	k.set.Store(s)
	k.bulkheads = keyed.New(keyed.Config[K, *Bulkhead]{
		MaxKeys:   conf.Or(c.MaxKeys, defaultMaxKeys),
		IdleAfter: conf.Or(c.IdleAfter, defaultIdleAfter),
		New:       k.bulkheadOf,
	})
	telemetry.Attach(k.scope, (*keyedSource[K])(k))
	return k, nil
}

// ofTotal are the settings of the bulkhead that all keys share.
func (s *settings) ofTotal(limit int) *settings {
	t := *s
	t.limit, t.adaptive, t.rate = limit, nil, 0
	return &t
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

// Total returns the bulkhead that all keys share, to look at and to Resize. Its Snapshot counts the calls of all keys. A
// call through it alone is no key's.
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
	return &handler{next: next, set: &k.set, of: func(r *http.Request) *Bulkhead { return k.Get(key(r)) }}
}

// Transport is [Transport] with a bulkhead for each key; [Host] is the key for one for each host.
func (k *Keyed[K]) Transport(key func(*http.Request) K, next http.RoundTripper) http.RoundTripper {
	if key == nil {
		panic("bulkhead.Keyed.Transport: key is nil")
	}
	if k == nil {
		return &transport{Over: httpx.OverNext(next)}
	}
	return &transport{Over: httpx.OverNext(next), set: &k.set, of: func(r *http.Request) *Bulkhead { return k.Get(key(r)) }}
}

// nameOf is the name of a key's bulkhead in errors. Metrics and spans carry the set's name alone, for keys have no bound.
func (k *Keyed[K]) nameOf(key K) string {
	if k.name == "" {
		return fmt.Sprint(key)
	}
	return fmt.Sprintf("%s[%v]", k.name, key)
}

// bulkheadOf makes the bulkhead of a key, or finds the one that somebody still has. It is not called twice at once for one
// key, unless that is not equal to itself: such a key has a bulkhead for each Get, which the total alone bounds.
func (k *Keyed[K]) bulkheadOf(key K) *Bulkhead {
	if b := k.find(key); b != nil {
		return b
	}
	name := k.nameOf(key) // the key's String may be the user's code: no lock is held
	k.mu.Lock()
	defer k.mu.Unlock()
	b := newBulkhead(k.base, k.set.Load(), name, k.total) // under the lock: a Reconfigure finds it in known, or has come before
	if same := key; same != key {
		return b
	}
	if len(k.known) >= max(k.sweepAt, 16) {
		maps.DeleteFunc(k.known, func(_ K, p weak.Pointer[Bulkhead]) bool { return p.Value() == nil })
		k.sweepAt = 2 * len(k.known) // so that sweeping costs each new key a constant
	}
	k.known[key] = weak.Make(b)
	return b
}

func (k *Keyed[K]) find(key K) *Bulkhead {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[key].Value()
}

// inHand are all bulkheads that anybody still has.
func (k *Keyed[K]) inHand() (all []*Bulkhead) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.known {
		if b := p.Value(); b != nil {
			all = append(all, b)
		}
	}
	return all
}

// keyedSource is a Keyed as telemetry sees it: one series. Usage and limit are the total's; those of the queue are the sum
// of all queues, the total's and each key's.
type keyedSource[K comparable] Keyed[K]

// Observe implements telemetry.Source.
func (s *keyedSource[K]) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	k := (*Keyed[K])(s)
	r := k.total.report()
	r.queueLimit *= 1 + k.bulkheads.Len() // which lets those go that are idle
	for _, b := range k.inHand() {
		r.queued += b.queued()
	}
	r.put(put)
}
