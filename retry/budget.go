package retry

import (
	"errors"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/failure"
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
	tokens atomic.Int64
	set    atomic.Pointer[budgetSettings] // replaced by Reconfigure
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
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &Budget{}
	set := c.settings(nil)
	b.set.Store(set)
	b.tokens.Store(set.capacity)
	return b, nil
}

// Reconfigure changes what the budget goes by to c, while it is used. The tokens that are there stay, up to the new Capacity,
// and so does how often the Floor was halved. An error names every field of c that cannot work, and nothing has changed then.
// It is safe for concurrent use.
func (b *Budget) Reconfigure(c BudgetConfig) error {
	if err := c.check(); err != nil {
		return err
	}
	if b == nil {
		return errors.New("retry: a nil Budget has no settings")
	}
	for {
		was := b.set.Load()
		if given := c.settings(nil).given; given == was.given {
			return nil // the floor goes on
		}
		next := c.settings(was.floor)
		if b.set.CompareAndSwap(was, next) {
			b.shrink()
			return nil
		}
	}
}

// shrink takes the tokens that the capacity has no room for.
func (b *Budget) shrink() {
	for {
		have, most := b.tokens.Load(), b.set.Load().capacity
		if have <= most || b.tokens.CompareAndSwap(have, most) {
			return
		}
	}
}

// Config returns what the budget goes by, with the defaults in place of zeros. That of a nil Budget is the zero BudgetConfig.
func (b *Budget) Config() BudgetConfig {
	if b == nil {
		return BudgetConfig{}
	}
	return b.set.Load().given
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
	set := b.set.Load()
	b.add(set.deposit)
	if set.floor != nil {
		set.floor.restore()
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
		have, most := b.tokens.Load(), b.set.Load().capacity
		if have >= most || b.tokens.CompareAndSwap(have, min(have+n, most)) {
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
			if floor := b.set.Load().floor; floor == nil || !floor.grant() {
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
