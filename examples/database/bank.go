package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// schema has two rules. The database itself refuses an overdraft. The ledger's id is not unique, although in production
// it should be: then a doubled transfer would fail, and here it is to show.
const schema = `
	CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0));
	CREATE TABLE ledger (transfer INTEGER NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL, amount INTEGER NOT NULL);
`

// bank is a database under a retry and a breaker.
type bank struct {
	db      *sql.DB
	retries *retry.Policy
	breaker *breaker.Breaker
}

// config is what of the policies a test wants to change.
func config() (retry.Config, breaker.Config) {
	r := retry.Config{
		Name:      "bank",
		BaseDelay: 2 * time.Millisecond, // a statement takes some tens of microseconds: the default is for networks
		// A transaction takes a millisecond, and may have to wait for those of others. Most drivers close the
		// connection at the limit, so it is to end what hangs, not what is slow.
		AttemptTimeout: 2 * time.Second,
		RetryIf:        retryable,
	}
	c := breaker.Config{
		Name:     "bank",
		Classify: classify,
		OpenFor:  time.Second, // so short that the program ends soon; the default is 5 s
	}
	return r, c
}

func newBank(db *sql.DB, r retry.Config, b breaker.Config) (*bank, error) {
	retries, err := retry.New(r)
	if err != nil {
		return nil, err
	}
	guard, err := breaker.New(b)
	if err != nil {
		return nil, err
	}
	return &bank{db, retries, guard}, nil
}

// do is the stack of every call: each attempt passes the breaker. What fn does is repeated as a whole.
func do[T any](ctx context.Context, b *bank, fn func(context.Context) (T, error)) (T, error) {
	return retry.Do(ctx, b.retries, func(ctx context.Context) (T, error) {
		return breaker.Do(ctx, b.breaker, fn)
	})
}

// transfer moves money. id is the caller's, and finds the transfer in the ledger again.
type transfer struct{ id, source, target, amount int64 }

// transfer makes t once or not at all. The error says which: nil, it is made; an unknownError, it may be, see happened;
// any other, it is not.
func (b *bank) transfer(ctx context.Context, t transfer) error {
	_, err := do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, b.attempt(ctx, t) })
	return err
}

// attempt is one whole transaction. A statement in it is never repeated by itself: when one fails the transaction is
// dead, and what the others did goes with it.
func (b *bank) attempt(ctx context.Context, t transfer) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = balance - ? WHERE id = ?`, t.amount, t.source); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = balance + ? WHERE id = ?`, t.amount, t.target); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO ledger VALUES (?, ?, ?, ?)`, t.id, t.source, t.target, t.amount); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return committing(err)
	}
	return nil
}

// happened asks the ledger about a transfer whose outcome is unknown. Once the connection is gone sqlite has rolled back
// what was not committed, so the answer is final. A server may still be at it: there, let the id be unique, and insert
// it again.
func (b *bank) happened(ctx context.Context, t transfer) (bool, error) {
	n, err := do(ctx, b, func(ctx context.Context) (n int, err error) {
		err = b.db.QueryRowContext(ctx, `SELECT count(*) FROM ledger WHERE transfer = ?`, t.id).Scan(&n)
		return n, err
	})
	return n > 0, err
}

// balance is sql.ErrNoRows if there is no such account. QueryRow keeps its error for Scan, which so belongs inside.
func (b *bank) balance(ctx context.Context, account int64) (int64, error) {
	return do(ctx, b, func(ctx context.Context) (balance int64, err error) {
		err = b.db.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE id = ?`, account).Scan(&balance)
		return balance, err
	})
}

// transfers returns the ledger's rows of an account, which are read after do has returned. That is allowed, for the
// attempt's context lives on, without its time limit: from here on it is the caller's ctx that ends a reading that hangs.
// A fault in the reading is not retried: some rows are with the caller already.
func (b *bank) transfers(ctx context.Context, account int64) (*sql.Rows, error) {
	return do(ctx, b, func(ctx context.Context) (*sql.Rows, error) {
		return b.db.QueryContext(ctx, `SELECT transfer, source, target, amount FROM ledger WHERE source = ?1 OR target = ?1`, account)
	})
}

// unknownError is a commit that got no answer: it may have happened or not.
type unknownError struct{ err error }

func (e *unknownError) Error() string { return fmt.Sprintf("commit, outcome unknown: %v", e.err) }
func (e *unknownError) Unwrap() error { return e.err }

// committing is the error of a Commit. Its outcome is known only where it was not sent: the attempt's time was up, and
// the transaction rolled back before. Other databases know another case, a refusal such as PostgreSQL's 40001, which says
// that the whole transaction may be repeated.
func committing(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return backoff.Permanent(&unknownError{err})
}
