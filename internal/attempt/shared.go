package attempt

import (
	"context"
	"slices"
	"sync"
)

// Shared is what the attempts of one call tell each other: which targets they have gone to. A hedge hands it out with the
// contexts of its attempts, and a failover below heeds it. Neither knows of the other.
type Shared struct {
	mu    sync.Mutex
	taken []visit
}

// visit is one attempt's choice. The key is whose choice, as there may be several below one another.
type visit struct{ by, target any }

// SharedFrom returns what the attempts share to which ctx belongs; nil if it belongs to none.
func SharedFrom(ctx context.Context) *Shared {
	if n, ok := ctx.Value(key{}).(*Numbered); ok {
		return n.shared
	}
	return nil
}

// Take notes that one of the attempts has gone to a target.
func (s *Shared) Take(by, target any) {
	s.mu.Lock()
	s.taken = append(s.taken, visit{by, target})
	s.mu.Unlock()
}

// Taken reports whether one of them has.
func (s *Shared) Taken(by, target any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.taken, visit{by, target})
}

// Any reports whether any attempt has gone anywhere.
func (s *Shared) Any(by any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.taken, func(v visit) bool { return v.by == by })
}
