package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// The bank opens with this.
const (
	accounts = 10
	opening  = 1000
)

// outcome is what the caller of a transfer knows of it.
type outcome int

const (
	made outcome = iota
	notMade
	unsure // the commit's outcome is unknown, and the ledger could not be asked
)

func (o outcome) String() string { return [...]string{"made", "not made", "unsure"}[o] }

// result is what came of some transfers.
type result struct {
	outcomes []outcome // by the transfer's id

	overdrafts, asked, failed atomic.Int64
}

func (r *result) count(want outcome) (n int) {
	for _, o := range r.outcomes {
		if o == want {
			n++
		}
	}
	return n
}

// move makes n transfers from several goroutines. One in twenty is for more than there is.
func (b *bank) move(ctx context.Context, n int, workers int) *result {
	r := &result{outcomes: make([]outcome, n)}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for id := next.Add(1) - 1; id < int64(n); id = next.Add(1) - 1 {
				source := rand.Int64N(accounts)
				t := transfer{id: id, source: source, target: (source + 1 + rand.Int64N(accounts-1)) % accounts, amount: 1 + rand.Int64N(20)}
				if id%20 == 0 {
					t.amount = accounts*opening + 1
				}
				r.outcomes[id] = b.settle(ctx, t, r)
			}
		})
	}
	all.Wait()
	return r
}

// settle makes a transfer and, where it has to, finds out whether it was made.
func (b *bank) settle(ctx context.Context, t transfer, r *result) outcome {
	err := b.transfer(ctx, t)
	_, unknown := errors.AsType[*unknownError](err)
	switch {
	case err == nil:
		return made
	case unknown:
		r.asked.Add(1)
		happened, err := b.happened(ctx, t)
		if err != nil {
			return unsure
		}
		if happened {
			return made
		}
	case isCode(err, constraint):
		r.overdrafts.Add(1)
	default:
		r.failed.Add(1)
	}
	return notMade
}

// audit proves that no transfer is lost or doubled: the ledger has each as often as its caller was told, each balance
// is what the ledger makes of it, and no money came or went. It asks the database itself, past the policies.
func audit(ctx context.Context, db *sql.DB, outcomes []outcome) error {
	times, err := table(ctx, db, `SELECT transfer, count(*) FROM ledger GROUP BY transfer`)
	if err != nil {
		return err
	}
	for id, o := range outcomes {
		switch n := times[int64(id)]; {
		case o == made && n != 1, o == notMade && n != 0, n > 1:
			return fmt.Errorf("transfer %d is in the ledger %d times, for its caller it is %v", id, n, o)
		}
	}
	wrong, err := table(ctx, db, `
		SELECT id, balance FROM accounts WHERE balance <> ? -
			(SELECT coalesce(sum(amount), 0) FROM ledger WHERE source = id) +
			(SELECT coalesce(sum(amount), 0) FROM ledger WHERE target = id)`, opening)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("balances that the ledger does not explain, by account: %v", wrong)
	}
	var sum int64
	if err := db.QueryRowContext(ctx, `SELECT sum(balance) FROM accounts`).Scan(&sum); err != nil {
		return err
	}
	if sum != accounts*opening {
		return fmt.Errorf("the balances sum up to %d, want %d", sum, accounts*opening)
	}
	return nil
}

// table reads rows of two numbers.
func table(ctx context.Context, db *sql.DB, query string, args ...any) (map[int64]int64, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64]int64)
	for rows.Next() {
		var key, value int64
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		found[key] = value
	}
	return found, rows.Err()
}
