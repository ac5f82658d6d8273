package latency

import "time"

// Hold is a Record that has found its part and stops there. The sample is added when what it returns is called.
func (w *Window) Hold(now time.Duration) func(d time.Duration) { return w.at(now).add }

// Meet is a Record that adds at the same moment as another one.
func (w *Window) Meet(now, d time.Duration) {
	p := w.at(now)
	i, cell := bucket(d)
	o := p.octaves[i].Load()
	if o == nil {
		o = p.make(i)
	}
	o.meet(cell)
}

// Wide is how many octaves have stripes.
func (w *Window) Wide() (n int) {
	for _, p := range w.ring.Load().parts {
		if p == nil {
			continue
		}
		for i := range p.octaves {
			if o := p.octaves[i].Load(); o != nil && o.wide.Load() != nil {
				n++
			}
		}
	}
	return n
}

// HoldRefresh is a refresh that has begun and stops there. It ends when what it returns is called.
func (t *Tracker) HoldRefresh() func() {
	t.refreshing.Store(true)
	return func() { t.refreshing.Store(false) }
}
