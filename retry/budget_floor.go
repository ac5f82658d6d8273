package retry

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// floor grants a few retries for nothing.
type floor struct {
	rate    rate.Limit
	limiter *rate.Limiter
	start   time.Time
	// next is when the limiter can grant again, at the earliest (nanoseconds since start): until then a retry is
	// denied without asking the limiter, which has a lock.
	next   atomic.Int64
	halved atomic.Int32 // how often, since something last succeeded
}

const mostHalvings = 6

func newFloor(perSecond float64) *floor {
	return &floor{rate: rate.Limit(perSecond), limiter: rate.NewLimiter(rate.Limit(perSecond), 1), start: time.Now()}
}

// follow begins as another floor has left off: as often halved, and with nothing to grant at once.
func (f *floor) follow(was *floor) {
	if was == nil {
		return
	}
	now, halved := f.start, was.halved.Load()
	f.halved.Store(halved)
	f.limiter.SetLimitAt(now, f.rate/rate.Limit(int(1)<<halved))
	f.limiter.AllowN(now, 1)
}

func (f *floor) grant() bool {
	now := time.Now()
	since := now.Sub(f.start)
	if since < time.Duration(f.next.Load()) {
		return false
	}
	granted, halved := f.limiter.AllowN(now, 1), f.halved.Load()
	if granted && halved < mostHalvings && f.halved.CompareAndSwap(halved, halved+1) {
		halved++
		f.limiter.SetLimitAt(now, f.rate/rate.Limit(int(1)<<halved))
	}
	missing := 1 - f.limiter.TokensAt(now)
	f.next.Store(int64(since + seconds(missing/float64(f.limiter.Limit()))))
	if f.halved.Load() < halved { // a success came between, and our wait is for a rate that is no more
		f.next.Store(0)
	}
	return granted
}

// restore gives the floor its full rate back. While it has it, this only reads.
func (f *floor) restore() {
	if halved := f.halved.Load(); halved == 0 || !f.halved.CompareAndSwap(halved, 0) {
		return
	}
	f.limiter.SetLimit(f.rate)
	f.next.Store(0)
}

// seconds converts without overflow: a tiny rate means a wait of centuries.
func seconds(s float64) time.Duration {
	if s >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64 / 2
	}
	return time.Duration(s * float64(time.Second))
}
