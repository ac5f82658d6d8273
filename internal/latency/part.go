package latency

import (
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// part has the samples of one stretch of time. Its counts only grow: it is never cleared nor used again for another
// stretch, so whoever still holds it can do no harm.
type part struct {
	octaves [octaves]atomic.Pointer[octave] // nil until there is a sample: most calls of one kind take 4 to 8 of them
}

// octave counts in its own cells until several cores meet there, then in a set of cells for each stripe.
type octave struct {
	wide   atomic.Pointer[[stripes]counts]
	missed atomic.Uint32 // adds that met another one
	counts counts
}

// counts of samples. In 32 bits, for one stretch of time: at the default span 500 million a second.
type counts [cells]atomic.Uint32

const (
	stripeBits = 3
	stripes    = 1 << stripeBits

	// patience is how many adds must have met another one before an octave takes the memory for stripes: they are paid
	// within microseconds where cores contend, and hardly ever reached where two calls merely ended together.
	patience = 32
)

func (p *part) add(d time.Duration) {
	i, cell := bucket(d)
	o := p.octaves[i].Load()
	if o == nil {
		o = p.make(i)
	}
	if wide := o.wide.Load(); wide != nil {
		wide[mine()][cell].Add(1)
		return
	}
	c := &o.counts[cell]
	if n := c.Load(); !c.CompareAndSwap(n, n+1) {
		o.meet(cell)
	}
}

func (p *part) make(i int) *octave {
	p.octaves[i].CompareAndSwap(nil, new(octave))
	return p.octaves[i].Load()
}

// meet is for an add that met another one.
func (o *octave) meet(cell int) {
	if o.missed.Add(1) < patience {
		o.counts[cell].Add(1)
		return
	}
	o.wide.CompareAndSwap(nil, new([stripes]counts))
	o.wide.Load()[mine()][cell].Add(1)
}

func mine() uint64 { return stripe.Hash() >> (64 - stripeBits) }

// addTo adds the counts to sums, cell by cell.
func (o *octave) addTo(sums *[cells]uint64) {
	o.counts.addTo(sums)
	if wide := o.wide.Load(); wide != nil {
		for i := range wide {
			wide[i].addTo(sums)
		}
	}
}

func (c *counts) addTo(sums *[cells]uint64) {
	for i := range c {
		sums[i] += uint64(c[i].Load())
	}
}
