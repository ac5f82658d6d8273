package retry

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// FullJitter returns a schedule whose delay n (from 0) is drawn evenly from 0 to min(ceiling, base*2^n): Brooker,
// "Exponential Backoff And Jitter", AWS 2015. It never ends by itself. random returns numbers in [0, 1); nil
// means package math/rand/v2. The schedule is for one call, and not for concurrent use.
func FullJitter(base, ceiling time.Duration, random func() float64) backoff.BackOff {
	return &fullJitter{base: base, ceiling: ceiling, random: random}
}

// Constant returns a Config.Backoff that waits d each time.
func Constant(d time.Duration) func() backoff.BackOff {
	return func() backoff.BackOff { return backoff.NewConstantBackOff(d) }
}

type fullJitter struct {
	base, ceiling time.Duration
	random        func() float64
	upTo          time.Duration // of the last delay; 0: none yet
}

// NextBackOff implements backoff.BackOff.
func (s *fullJitter) NextBackOff() time.Duration {
	s.upTo = double(s.upTo, s.base, s.ceiling)
	switch {
	case s.upTo <= 0:
		return 0
	case s.random != nil:
		return min(time.Duration(s.random()*float64(s.upTo)), s.upTo)
	case s.upTo == math.MaxInt64:
		return rand.N(s.upTo)
	default:
		return rand.N(s.upTo + 1)
	}
}

// Reset implements backoff.BackOff.
func (s *fullJitter) Reset() { s.upTo = 0 }

// double returns the bound after last: base first, then twice the last, never above ceiling. It does not
// multiply, so that it cannot overflow however many attempts there are.
func double(last, base, ceiling time.Duration) time.Duration {
	switch {
	case last <= 0:
		return min(base, ceiling)
	case last > ceiling/2:
		return ceiling
	default:
		return 2 * last
	}
}
