package hedge

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// settings are a checked Config with its defaults. They are immutable: Reconfigure puts others in their place, and a call
// that has begun keeps those that it began with.
type settings struct {
	Config
	number uint64 // how many there were before
}

var errNilReconfigure = errors.New("a nil Policy has no settings")

// Reconfigure changes what the policy goes by to c, while calls run. What it has learned and counts is kept: the latencies, of
// each host too, the credit for extra load, and the counts. Another Quantile is that of the latencies that were seen; it is
// known at once if they are enough for it, which for a higher one are more (see FirstDelay). With another Memory, what was
// learned until now is forgotten within one new Memory. A MaxExtraLoad where there was none begins with the credit that was
// left, or that of New.
//
// A call that is under way ends by the settings that it began with: its Delay, MaxHedges, MaxExtraLoad, Budget, HedgeIf and
// NoAttemptSpans. A hedge that it makes after the change is taken from the credit that all share. How long it took is
// learned by the Memory and the Quantile of now.
//
// Name, TracerProvider, MeterProvider and Logger stay those of New. An error names every field of c that cannot work, and
// nothing has changed then. It is safe for concurrent use.
func (p *Policy) Reconfigure(c Config) error {
	f := conf.Check("hedge.Config")
	c.check(f)
	switch err := f.Err(); {
	case err != nil:
		return err
	case p == nil:
		return fmt.Errorf("%s: %w", p.name(), errNilReconfigure)
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	was := p.set.Load()
	next := &settings{Config: c.withDefaults(), number: was.number + 1}
	next.Name, next.TracerProvider, next.MeterProvider, next.Logger = was.Name, was.TracerProvider, was.MeterProvider, was.Logger
	if was.MaxExtraLoad < 0 && next.MaxExtraLoad > 0 {
		p.load.resume(p.now(), p.counts.calls.Load())
	}
	p.set.Store(next)
	now := p.now()
	p.pace.follow(next, now)
	for _, at := range p.hosts.All() {
		at.follow(next, now)
	}
	return nil
}
