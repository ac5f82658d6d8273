package retry

import (
	"errors"
	"fmt"
)

var errNilReconfigure = errors.New("a nil Policy has no settings")

// Reconfigure changes what the policy goes by to c, while calls run. What it counts is kept, and so is a Budget that is given
// again; see [Budget.Reconfigure] for what that goes by. A call that is under way goes on by the settings that it began with,
// to its end.
//
// Name, TracerProvider, MeterProvider and Logger stay those of New. An error names every field of c that cannot work, and
// nothing has changed then. It is safe for concurrent use.
func (p *Policy) Reconfigure(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	if p == nil {
		return fmt.Errorf("retry: %w", errNilReconfigure)
	}
	was := &p.set.Load().given
	c.Name, c.TracerProvider, c.MeterProvider, c.Logger = was.Name, was.TracerProvider, was.MeterProvider, was.Logger
	p.set.Store(c.settings())
	return nil
}
