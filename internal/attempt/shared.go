package attempt

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Shared is what the attempts of one call tell each other: which targets they have gone to. A hedge hands it out with the
// contexts of its attempts, and a failover below heeds it. Neither knows of the other.
type Shared struct {
	mu    sync.Mutex
	taken []visit
	by    any // whose choice the target was that answered
	took  time.Duration
}

// visit is one attempt's choice. The key is whose choice, as there may be several below one another.
type visit struct{ by, target any }

// ErrLost is the cause of an attempt's context when another attempt of its call was faster.
var ErrLost = errors.New("hedge: another attempt was faster")

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

// Won notes that an attempt has succeeded at the target of its choice, and how long that took.
func (s *Shared) Won(by any, took time.Duration) {
	s.mu.Lock()
	s.by, s.took = by, took
	s.mu.Unlock()
}

// Winner is how long the attempt took that has succeeded, for one that has lost to compare itself with; false if it went
// another way, or there is none.
func (s *Shared) Winner(by any) (took time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took, s.by != nil && s.by == by
}
