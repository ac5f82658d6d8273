package bulkhead

import "github.com/holdfast-go/holdfast/internal/conf"

// Adaptive finds the limit while calls run, between Min and Max.
type Adaptive struct {
	// Min and Max bound the limit. Default 1 and 200.
	Min, Max int
	// Initial is where the search begins. Default 20, or what of Min and Max is nearest.
	Initial int
	// Overloaded says which errors are signals that the dependency is overloaded. Default: deadlines, errors that say
	// when to come back, and the HTTP statuses 429, 503 and 504.
	Overloaded func(error) bool
}

const (
	defaultMin     = 1
	defaultMax     = 200
	defaultInitial = 20
)

// check reports every field that cannot work.
func (a *Adaptive) check(f *conf.Faults) {
	f.Want(a.Min >= 0 && a.Min <= maxLimit, "Adaptive.Min", a.Min, "at least 1 (default 1)")
	f.Want(a.Max >= 0 && a.Max <= maxLimit, "Adaptive.Max", a.Max, "at most 1000000 (default 200)")
	f.Want(conf.Or(a.Min, defaultMin) <= conf.Or(a.Max, max(defaultMax, a.Min)), "Adaptive.Min", a.Min, "at most Max")
	f.Want(a.Initial >= 0, "Adaptive.Initial", a.Initial, "between Min and Max (default 20)")
}

// UnmarshalJSON reads {"min": 10, "max": 100, "initial": 20}.
func (a *Adaptive) UnmarshalJSON(data []byte) error { return a.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (a Adaptive) MarshalJSON() ([]byte, error) { return a.fields().Marshal() }

func (a *Adaptive) fields() conf.Fields {
	return conf.Fields{{Key: "min", To: &a.Min}, {Key: "max", To: &a.Max}, {Key: "initial", To: &a.Initial}}
}
