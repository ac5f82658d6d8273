package bulkhead

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// terms are what a call goes by, from its beginning to its end. They are immutable: Reconfigure puts others in their place,
// and the calls that have the old ones keep them.
type terms struct {
	*settings
	meter  *meter  // nil: no Rate
	finder *finder // nil: not Adaptive
	plain  bool    // none of the two, and no total
}

// base is what no Reconfigure changes. The bulkheads of a keyed set share one.
type base struct {
	scope *telemetry.Scope
	start time.Time // what all times inside are counted from
	keyed bool
}

func newBase(c Config, keyed bool) *base {
	return &base{
		scope: telemetry.NewScope(telemetry.Options{
			Type: "bulkhead", Name: c.Name,
			TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
		}),
		start: time.Now(),
		keyed: keyed,
	}
}

// now is the time since the start; never zero, which stands for "not timed". It reads one clock where time.Now reads two.
func (b *base) now() time.Duration { return time.Since(b.start) + 1 }

// metered reports whether there is a bound on how many calls begin in a second.
func (s *settings) metered() bool { return s.rate != 0 && s.rate != rate.Inf }

// press tells the finder that the limit binds.
func (t *terms) press() {
	if t.finder != nil {
		t.finder.pressed()
	}
}
