package retry

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/failure"
)

// BudgetConfig says how many retries a service can afford.
type BudgetConfig struct {
	// Ratio is what each success adds, in tokens: the share of successes that may be retries in the long run.
	// Default 0.125.
	Ratio float64

	// Capacity is how many tokens are there at the start, and at most. Default 20.
	Capacity float64

	// Floor is how many retries a second are granted when no token is left, so that a client with little traffic can
	// still retry now and then. Each grant halves it, down to a 64th, until something succeeds. Default 0.1;
	// negative: none.
	Floor float64
}

const (
	defaultRatio    = 0.125
	defaultCapacity = 20
	defaultFloor    = 0.1
)

// Budget bounds retries (and hedges) as a share of what succeeds. One may be shared by many policies, and should be
// by all that call the same dependency. All methods are safe for concurrent use, and take no lock while there are
// tokens.
//
// A retry takes one token. After a failure that carried a Retry-After it takes two, for then the server has said that
// it has too much to do; after a refusal it takes none, for then nothing has reached the server yet.
//
// It is fed by successes, not by requests: while everything fails nothing comes in, the bucket runs dry, and the
// load falls back to what the callers ask for. A share r of the *requests* would go on adding load r for ever, and a
// server above 1/(1+r) of its capacity could not come back (a metastable failure: Bronson et al., HotOS '21).
//
// The default ratio of an eighth lies between two bounds. With independent failures at a rate of 10 %, repairing
// 99.9 % of the calls takes 0.11 retries a call: a ratio of a tenth starves there (99.0 %). And at failure rates of
// 30 % and more the load is to stay within 1.1 times the calls, which a ratio of 0.13 does not keep. The capacity of
// 20 rides out the chance of the draw there (10 does not). It is what many clients spend at once when a server goes
// down: a hundred of them, 2,000 retries, put off the recovery of a server at 93 % load from some 135 s to 240, and a
// thousand keep it down for more than ten minutes. Share a Budget where you can, and use a breaker.
//
// Doubling the price of a push-back keeps retries below a tenth of the offered load where a server refuses what is
// above its limit; at the plain price they settle at an eighth. The floor is small, and halves, because every client has
// one: of a hundred clients a steady 0.1 a second takes half of the spare capacity that the server above has to
// recover with (450 s to 540 s, and never at 0.5); halving it costs 20 s.
//
// The experiments E6, E8 and E9 print these tables: go test -run Experiment -v ./retry.
type Budget struct {
	// tokens and the rest are in thousandths, so that an integer will do.
	tokens   atomic.Int64
	deposit  int64
	capacity int64
	floor    *floor // nil: none
}

const token = 1000

// price is what a retry after err takes.
func price(err error) int64 {
	if failure.Refused(err) {
		return 0
	}
	if _, asked := failure.RetryAfter(err); asked {
		return 2 * token
	}
	return token
}

// NewBudget returns a full budget, or an error that names every field of c that cannot work.
func NewBudget(c BudgetConfig) (*Budget, error) {
	const most = 1e12
	f := conf.Check("retry.BudgetConfig")
	f.Want(c.Ratio == 0 || c.Ratio >= 1./token && c.Ratio <= 1, "Ratio", c.Ratio, "from 0.001 to 1 token for each success (default 0.125)")
	f.Want(c.Capacity == 0 || c.Capacity >= 1 && c.Capacity <= most, "Capacity", c.Capacity, "at least 1 token (default 20)")
	f.Want(c.Floor <= most && !math.IsNaN(c.Floor), "Floor", c.Floor, "retries a second (default 0.1), or below zero for none")
	if err := f.Err(); err != nil {
		return nil, err
	}
	b := &Budget{
		deposit:  int64(math.Round(conf.Or(c.Ratio, defaultRatio) * token)),
		capacity: int64(conf.Or(c.Capacity, defaultCapacity) * token),
	}
	b.tokens.Store(b.capacity)
	if rate := conf.OrNone(c.Floor, defaultFloor); rate > 0 {
		b.floor = newFloor(rate)
	}
	return b, nil
}

// MustNewBudget is NewBudget for package variables: it panics where NewBudget returns an error.
func MustNewBudget(c BudgetConfig) *Budget {
	b, err := NewBudget(c)
	if err != nil {
		panic(err)
	}
	return b
}

// Deposit adds what one success is worth. On a full budget it only reads.
func (b *Budget) Deposit() {
	b.add(b.deposit)
	if b.floor != nil {
		b.floor.restore()
	}
}

// Withdraw takes one token, and reports whether there was one: whether a retry or a hedge may be made.
func (b *Budget) Withdraw() bool {
	_, ok := b.withdraw(token)
	return ok
}

// Available returns the tokens left. It does not count what the floor would grant.
func (b *Budget) Available() float64 { return float64(max(b.tokens.Load(), 0)) / token }

func (b *Budget) add(n int64) {
	for {
		have := b.tokens.Load()
		if have >= b.capacity || b.tokens.CompareAndSwap(have, min(have+n, b.capacity)) {
			return
		}
	}
}

// withdraw takes cost, or, where that much is not left, one grant of the floor; and returns what it took, to be added
// again should the retry not be made.
func (b *Budget) withdraw(cost int64) (taken int64, ok bool) {
	if cost == 0 {
		return 0, true
	}
	granted := false
	for {
		have := b.tokens.Load()
		left := have - cost
		if left < 0 && !granted {
			if b.floor == nil || !b.floor.grant() {
				return 0, false
			}
			granted = true
		}
		// A grant is a loan, of up to a token: paid back by the successes to come, if there are any. Otherwise a client
		// of ten calls a second had a retry for each hundred calls on top of its ratio.
		if granted {
			left = max(left, min(have, -token))
		}
		if b.tokens.CompareAndSwap(have, left) {
			return have - left, true
		}
	}
}

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
