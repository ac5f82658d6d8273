package bulkhead

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Adaptive finds the limit while calls run, between Min and Max: how many calls the dependency works on at a time before
// further ones only wait within it. Nothing has to be known of it, neither how long a call takes nor how much it can do;
// and both may change.
//
// The limit in force is limit * latency without a queue / latency + an allowance, as in Netflix's concurrency-limits (Vegas,
// Gradient2). How long a call takes without a queue is measured, by going below the limit for a moment now and then, as BBR
// does (Cardwell et al., ACM Queue 2016); and by going above it, whether there is room. So the limit is seldom quite still:
// every second or so it is 15 to 30 per cent lower, and then 20 per cent higher, for a window or two.
//
// The limit rises only while it binds: while calls are refused, or wait, for want of a place. Calls that fail do not count,
// unless Overloaded says that they are signals. Then the limit falls by a tenth at once, and at most once a window, if they
// are at least one in a hundred.
//
// It needs about a thousand calls before the limit is sure. Latencies must be of one kind: where calls to fast and slow methods
// share one bulkhead, and their mix changes, that looks like a change of the dependency; give each kind its own. And each
// client looks for its own limit: of many that share one server, none empties the server's queue by taking less, and their limits
// creep up together. There set Max, and put the bulkhead that finds the limit into the server.
type Adaptive struct {
	// Min and Max bound the limit. Default 1, and 200 or Min if that is more.
	Min, Max int
	// Initial is where the search begins. Default 20, or what of Min and Max is nearest.
	Initial int
	// Overloaded says which errors are signals that the dependency is overloaded. Default: deadlines, errors that say
	// when to come back, and the HTTP statuses 429, 503 and 504.
	Overloaded func(error) bool
	// Window is the least time for which latencies are gathered before something is made of them. It is longer where
	// calls are slow (twice their latency) or few. Default 100 ms.
	Window time.Duration
}

const (
	defaultMin     = 1
	defaultMax     = 200
	defaultInitial = 20
	defaultWindow  = 100 * time.Millisecond
)

// check reports every field that cannot work.
func (a *Adaptive) check(f *conf.Faults) {
	f.Want(a.Min >= 0 && a.Min <= maxLimit, "Adaptive.Min", a.Min, "at least 1 (default 1)")
	f.Want(a.Max >= 0 && a.Max <= maxLimit, "Adaptive.Max", a.Max, "at most 1000000 (default 200)")
	f.Want(a.Max < 0 || conf.Or(a.Min, defaultMin) <= conf.Or(a.Max, max(defaultMax, a.Min)), "Adaptive.Min", a.Min, "at most Max")
	least := conf.Or(a.Min, defaultMin)
	f.Want(a.Initial == 0 || a.Initial >= least && a.Initial <= a.most(), "Adaptive.Initial", a.Initial, "between Min and Max (default 20)")
	f.Want(a.Window == 0 || a.Window >= shortest, "Adaptive.Window", a.Window, "at least 1µs (default 100ms)")
}

// most is Max, or what stands for it.
func (a *Adaptive) most() int { return conf.Or(a.Max, max(defaultMax, a.Min)) }

// UnmarshalJSON reads {"min": 10, "max": 100, "initial": 20, "window": "100ms"}.
func (a *Adaptive) UnmarshalJSON(data []byte) error { return a.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (a Adaptive) MarshalJSON() ([]byte, error) { return a.fields().Marshal() }

func (a *Adaptive) fields() conf.Fields {
	return conf.Fields{
		{Key: "min", To: &a.Min}, {Key: "max", To: &a.Max}, {Key: "initial", To: &a.Initial}, {Key: "window", To: &a.Window},
	}
}
