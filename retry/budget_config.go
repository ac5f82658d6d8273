package retry

import (
	"math"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// BudgetConfig says how many retries a service can afford.
type BudgetConfig struct {
	// Ratio is what each success adds, in tokens: the share of successes that may be retries in the long run.
	// Default 0.125.
	Ratio float64

	// Capacity is how many tokens are there at the start, and at most. Default 20.
	Capacity float64

	// Floor is how many retries a second are granted when no token is left, so that a client with little traffic can
	// still retry now and then. Each grant halves it, down to a 64th, until something succeeds. Default 0.1;
	// negative: none.
	Floor float64
}

const (
	defaultRatio    = 0.125
	defaultCapacity = 20
	defaultFloor    = 0.1
)

// check reports every field that cannot work.
func (c *BudgetConfig) check() error {
	const most = 1e12
	f := conf.Check("retry.BudgetConfig")
	f.Want(c.Ratio == 0 || c.Ratio >= 1./token && c.Ratio <= 1, "Ratio", c.Ratio, "from 0.001 to 1 token for each success (default 0.125)")
	f.Want(c.Capacity == 0 || c.Capacity >= 1 && c.Capacity <= most, "Capacity", c.Capacity, "at least 1 token (default 20)")
	f.Want(c.Floor <= most && !math.IsNaN(c.Floor), "Floor", c.Floor, "retries a second (default 0.1), or below zero for none")
	return f.Err()
}

// budgetSettings are a checked BudgetConfig as a Budget uses it. They are immutable, but for what the floor has granted.
type budgetSettings struct {
	given    BudgetConfig // with defaults in place of zeros
	deposit  int64
	capacity int64
	floor    *floor // nil: none
}

// settings are those of c; was is the floor of the settings before, if there are any.
func (c BudgetConfig) settings(was *floor) *budgetSettings {
	c.Ratio, c.Capacity, c.Floor = conf.Or(c.Ratio, defaultRatio), conf.Or(c.Capacity, defaultCapacity), conf.Or(c.Floor, defaultFloor)
	s := &budgetSettings{given: c, deposit: int64(math.Round(c.Ratio * token)), capacity: int64(c.Capacity * token)}
	if c.Floor > 0 {
		s.floor = newFloor(c.Floor)
		s.floor.follow(was)
	}
	return s
}

// UnmarshalJSON reads {"ratio": 0.1, "capacity": 50, "floor": -1}.
func (c *BudgetConfig) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that are not zero.
func (c BudgetConfig) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

func (c *BudgetConfig) fields() conf.Fields {
	return conf.Fields{
		{Key: "ratio", To: &c.Ratio},
		{Key: "capacity", To: &c.Capacity},
		{Key: "floor", To: &c.Floor},
	}
}
