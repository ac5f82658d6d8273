// Database answers: how do I retry what I do with a database, and never do it twice?
//
// A bank moves money in a real database (SQLite, embedded) over connections that break. Whole transactions are retried,
// never a statement in one, and never a commit whose outcome is unknown: there the ledger is asked. Afterwards the books
// are audited: no transfer is lost or doubled. At last what is only read is read from two replicas and the primary, one of
// which dies: no read is lost. It exits non-zero if anything is.
//
//	go run ./examples/database
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "database:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) (err error) {
	// It takes three seconds. What takes many times as long hangs.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "holdfast-database-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, f, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }() // before the folder goes

	r, c := config()
	// The default budget. Retries beyond one for eight successes are not made: such a transfer fails, and is not made.
	if r.Budget, err = retry.NewBudget(retry.BudgetConfig{}); err != nil {
		return err
	}
	b, err := newBank(db, r, c)
	if err != nil {
		return err
	}
	for _, show := range []func(context.Context, io.Writer, *bank, *faults) error{faulty, answers, reading, outage} {
		if err := show(ctx, out, b, f); err != nil {
			return err
		}
	}
	return replicated(ctx, out, dir, source{"primary", db, f})
}

// open makes the bank's database, with faults that are yet to be set.
func open(ctx context.Context, dir string) (*sql.DB, *faults, error) {
	db, f, err := connect(filepath.Join(dir, "bank.db"))
	if err != nil {
		return nil, nil, err
	}
	_, err = db.ExecContext(ctx, schema)
	for id := 0; err == nil && id < accounts; id++ {
		_, err = db.ExecContext(ctx, `INSERT INTO accounts VALUES (?, ?)`, id, opening)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, f, nil
}

// connect opens a database's file.
func connect(path string) (*sql.DB, *faults, error) {
	settings := url.Values{
		// A transaction that reads and then writes fails if another writes in between. This one waits at its begin.
		"_txlock": {"immediate"},
		// For up to a second, before it fails with SQLITE_BUSY: as long as a thousand transactions take.
		"_pragma": {"busy_timeout(1000)", "journal_mode(WAL)", "synchronous(OFF)"}, // the file need not outlive the program
	}
	base, err := sqlite.NewConnector(path + "?" + settings.Encode())
	if err != nil {
		return nil, nil, err
	}
	f := &faults{Connector: base}
	db := sql.OpenDB(f)
	// Unbounded by default. Waiting for a connection is part of an attempt, and so under its time limit.
	db.SetMaxOpenConns(8)
	return db, f, nil
}

// faulty: two in a hundred statements and five in a hundred commits lose their connection. With five steps a transaction
// one attempt in eight fails, which the default budget just pays for.
func faulty(ctx context.Context, out io.Writer, b *bank, f *faults) error {
	const transfers, workers = 400, 4
	f.set(20, 50)
	r := b.move(ctx, transfers, workers)
	f.set(0, 0) // the audit asks without a retry
	fmt.Fprintf(out, "%d transfers over connections that broke %d times\n", transfers, f.injected.Load())
	fmt.Fprintf(out, "    made: %d, against the rules: %d, failed: %d\n", r.count(made), r.overdrafts.Load(), r.failed.Load())
	fmt.Fprintf(out, "    commits of unknown outcome, not repeated: %d; the ledger told which were made\n", r.asked.Load())
	if f.injected.Load() == 0 || r.asked.Load() == 0 {
		return errors.New("no faults: nothing was shown")
	}
	if err := audit(ctx, b.db, r.outcomes); err != nil {
		return err
	}
	fmt.Fprintln(out, "    no transfer is lost, none is doubled")
	return nil
}

// answers: that there is no such row, and that a rule forbids it, are answers of a database that is well.
func answers(ctx context.Context, out io.Writer, b *bank, f *faults) error {
	b.breaker.Reset() // whatever the faults have left
	before := f.made.Load()
	const calls = 50 // the breaker opens after 5 failures in a row
	for range calls {
		if _, err := b.balance(ctx, accounts); !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("a balance of nobody: %w", err)
		}
		err := b.transfer(ctx, transfer{id: -1, source: 0, target: 1, amount: accounts*opening + 1})
		if !isCode(err, constraint) {
			return fmt.Errorf("an overdraft: %w", err)
		}
	}
	s := b.breaker.Snapshot()
	fmt.Fprintf(out, "%d rows that are not there, %d overdrafts: breaker %v, failures in a row: %d\n", calls, calls, s.State, s.ConsecutiveFailures)
	// One step for a balance; a begin and one statement for an overdraft.
	if steps := f.made.Load() - before; s.State != breaker.Closed || s.ConsecutiveFailures != 0 || steps != 3*calls {
		return fmt.Errorf("breaker %v after %d steps, want closed after %d: no answer is repeated", s.State, steps, 3*calls)
	}
	return nil
}

// reading: rows are read after the call that got them is over.
func reading(ctx context.Context, out io.Writer, b *bank, _ *faults) error {
	rows, err := b.transfers(ctx, 0)
	if err != nil {
		return err
	}
	defer rows.Close()
	balance := int64(opening)
	for rows.Next() {
		var t transfer
		if err := rows.Scan(&t.id, &t.source, &t.target, &t.amount); err != nil {
			return err
		}
		if t.source == 0 {
			t.amount = -t.amount
		}
		balance += t.amount
	}
	if err := rows.Err(); err != nil {
		return err
	}
	want, err := b.balance(ctx, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "account 0 by its transfers: %d, by its balance: %d\n", balance, want)
	if balance != want {
		return fmt.Errorf("the transfers of account 0 make %d, its balance is %d", balance, want)
	}
	return nil
}

// outage: once the breaker is open the database is left alone, and after the cool-down found to be back.
func outage(ctx context.Context, out io.Writer, b *bank, f *faults) error {
	f.set(1000, 1000)
	var err error
	for range 6 { // its five failures in a row take two calls, or five where no retry can be paid for; the next is refused
		if _, err = b.balance(ctx, 0); errors.Is(err, breaker.ErrOpen) {
			break
		}
	}
	refusal, ok := errors.AsType[*breaker.OpenError](err)
	if !ok {
		return fmt.Errorf("no answer to any call, and the breaker is not open: %w", err)
	}
	before := f.made.Load()
	err = b.transfer(ctx, transfer{id: -2, source: 0, target: 1, amount: 1})
	fmt.Fprintf(out, "nothing answers: %v\n", err)
	if !errors.Is(err, breaker.ErrOpen) || f.made.Load() != before {
		return errors.New("the breaker is open, and yet the database was called")
	}
	f.set(0, 0)
	time.Sleep(refusal.RetryAfter())
	if _, err := b.balance(ctx, 0); err != nil {
		return fmt.Errorf("the database is back: %w", err)
	}
	fmt.Fprintf(out, "it answers again: breaker %v\n", b.breaker.State())
	return nil
}
