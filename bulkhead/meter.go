package bulkhead

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// meter bounds how many calls begin in a second. It never reserves a token for later: rate's reservations, given up in
// the middle of others, do not return theirs. Who waits for a token waits in the queue, and takes it when it is there;
// so a wait that is given up costs none.
type meter struct {
	start  time.Time
	mu     sync.Mutex
	tokens *rate.Limiter
}

func newMeter(s *settings) *meter {
	return &meter{start: time.Now(), tokens: rate.NewLimiter(s.rate, s.burst)}
}

// now is the time by the monotonic clock, the only one that the limiter goes by: time.Now reads two.
func (m *meter) now() time.Time { return m.start.Add(time.Since(m.start)) }

// follow changes the rate. The tokens that are there are kept, as many of them as there may be.
func (m *meter) follow(s *settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now() // as in allow
	m.tokens.SetLimitAt(now, s.rate)
	m.tokens.SetBurstAt(now, s.burst)
}

// allow takes a token if there is one.
func (m *meter) allow() bool {
	m.mu.Lock()
	now := m.now() // under the lock: between a time and an earlier one after it, the limiter counts twice
	ok := m.tokens.AllowN(now, 1)
	if !ok {
		m.tokens.AllowN(now, 0) // a limiter that has seen a later time, outside of a synctest bubble, takes note of this one
	}
	m.mu.Unlock()
	return ok
}

// giveBack gives back a token with which no call was made; never more than Burst are kept. A nil meter has none.
func (m *meter) giveBack() {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tokens.AllowN(m.now(), -1) // takes one less than none: a test says that it does
	}
}

// next is how long it is until there is a token.
func (m *meter) next() time.Duration { return m.after(0) }

// after is how long it is until there is a token for one with so many ahead of it.
func (m *meter) after(ahead int) time.Duration {
	missing := float64(ahead) + 1 - m.tokens.TokensAt(m.now())
	if missing <= 0 {
		return 0
	}
	wait := missing / float64(m.tokens.Limit()) * float64(time.Second)
	if wait >= math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return time.Duration(math.Ceil(wait))
}
