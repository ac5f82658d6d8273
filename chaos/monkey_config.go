package chaos

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// MonkeyConfig says what a [Monkey] takes out, how often and for how long. Members, TakeOut and Every are required.
type MonkeyConfig struct {
	// Name labels log lines.
	Name string

	// Seed decides when, and who. Each number is a seed, 0 too.
	Seed uint64

	// Members are the names of all that may be taken out, asked for each time. Their order does not matter.
	Members func() []string

	// TakeOut takes one out, and returns what puts it back (nil: nothing does). Both run in the Monkey's goroutine; neither may
	// call Close.
	TakeOut func(name string) (restore func())

	// Every is how long it is, on average, until the next one is taken out, in time of the Window, beside Rest. The times are
	// exponential: that one has just been taken out says nothing about the next.
	Every time.Duration

	// OutFor is how long one is out. Default 1 min.
	OutFor time.Duration

	// Rest is the least time between putting one back and taking out the next. Default: OutFor.
	Rest time.Duration

	// Keep is how many members are never touched: with so many, or fewer, none is taken out. Default 1.
	Keep int

	// Window is when one may be taken out. One that is out when it closes is put back in its time. Default: always.
	Window Window

	// Logger is told of each that is taken out, and put back. nil: silent.
	Logger *slog.Logger
}

func (c *MonkeyConfig) check(f *conf.Faults) {
	f.Want(c.Members != nil, "Members", "nil", "a func")
	f.Want(c.TakeOut != nil, "TakeOut", "nil", "a func")
	f.Want(c.Every >= time.Microsecond, "Every", c.Every, "at least 1µs")
	f.Want(c.OutFor == 0 || c.OutFor >= time.Microsecond, "OutFor", c.OutFor, "at least 1µs (default 1m)")
	f.Want(c.Rest == 0 || c.Rest >= time.Microsecond, "Rest", c.Rest, "at least 1µs (default OutFor)")
	f.Want(c.Keep >= 0, "Keep", c.Keep, "at least 1 (default 1)")
	c.Window.check(f)
}

func (c MonkeyConfig) withDefaults() MonkeyConfig {
	c.OutFor = conf.Or(c.OutFor, time.Minute)
	c.Rest = conf.Or(c.Rest, c.OutFor)
	c.Keep = conf.Or(c.Keep, 1)
	return c
}

// UnmarshalJSON reads {"name": "users", "seed": 1, "every": "4h", "out_for": "5m", "rest": "1h", "keep": 2, "window": {…}}.
func (c *MonkeyConfig) UnmarshalJSON(data []byte) error { return c.fields().Unmarshal(data) }

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (c MonkeyConfig) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

func (c *MonkeyConfig) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "seed", To: &c.Seed},
		{Key: "every", To: &c.Every},
		{Key: "out_for", To: &c.OutFor},
		{Key: "rest", To: &c.Rest},
		{Key: "keep", To: &c.Keep},
		{Key: "window", To: &c.Window},
	}
}

func errLocation(name string) error {
	return fmt.Errorf("location: %q: want a name such as \"Europe/Berlin\"", name)
}
