package attempt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Shared is what the attempts of one call tell each other: which targets they have gone to, and which has answered. A hedge
// hands it out with the contexts of its attempts, and a failover below heeds it. Neither knows of the other.
type Shared struct {
	mu    sync.Mutex
	taken []visit
	won   []win
}

// visit is a choice of one attempt. by is whose choice, as there may be several below one another.
type visit struct {
	by, target any
	number     int
}

// win is how long the attempt took that was answered by the choice of one.
type win struct {
	by   any
	took time.Duration
}

// ErrLost is the cause of an attempt's context when another attempt of its call was faster.
var ErrLost = errors.New("hedge: another attempt was faster")

// Part is one attempt's part in what is shared. That of an attempt with nobody to share with is the zero Part, whose methods do
// nothing.
type Part struct {
	shared *Shared
	number int
}

// PartOf returns the part of the attempt that ctx belongs to.
func PartOf(ctx context.Context) Part {
	if n, ok := ctx.Value(key{}).(*Numbered); ok && n.shared != nil {
		return Part{n.shared, n.number}
	}
	return Part{}
}

// Alone reports whether there is nobody to share with.
func (p Part) Alone() bool { return p.shared == nil }

// Take notes that this attempt has gone to a target.
func (p Part) Take(by, target any) {
	if p.shared == nil {
		return
	}
	p.shared.mu.Lock()
	p.shared.taken = append(p.shared.taken, visit{by, target, p.number})
	p.shared.mu.Unlock()
}

// Taken reports whether another attempt has gone to a target. What this one has done before says nothing.
func (p Part) Taken(by, target any) bool {
	return p.any(func(v visit) bool { return v.by == by && v.target == target })
}

// Others reports whether another attempt has gone anywhere.
func (p Part) Others(by any) bool { return p.any(func(v visit) bool { return v.by == by }) }

func (p Part) any(is func(visit) bool) bool {
	if p.shared == nil {
		return false
	}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	return slices.ContainsFunc(p.shared.taken, func(v visit) bool { return v.number != p.number && is(v) })
}

// Won notes that this attempt has succeeded at the target of its choice, and how long that took.
func (p Part) Won(by any, took time.Duration) {
	if p.shared == nil {
		return
	}
	p.shared.mu.Lock()
	p.shared.won = append(p.shared.won, win{by, took})
	p.shared.mu.Unlock()
}

// Winner is how long the quickest attempt took that has succeeded, for one that has lost to compare itself with; false if it
// went another way, or there is none.
func (p Part) Winner(by any) (took time.Duration, ok bool) {
	if p.shared == nil {
		return 0, false
	}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	for _, w := range p.shared.won {
		if w.by == by && (!ok || w.took < took) {
			took, ok = w.took, true
		}
	}
	return took, ok
}
