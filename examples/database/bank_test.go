package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// testBank has no delays, and no budget: as many retries as it can make.
func testBank(t *testing.T, change func(*retry.Config, *breaker.Config)) (*bank, *faults) {
	t.Helper()
	db, f, err := open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	r, c := config()
	r.BaseDelay = -1
	if change != nil {
		change(&r, &c)
	}
	b, err := newBank(db, r, c)
	if err != nil {
		t.Fatal(err)
	}
	return b, f
}

// No transfer is lost or doubled, however much breaks.
func TestTransfersUnderFaults(t *testing.T) {
	for _, rate := range []int64{0, 10, 100, 300} { // of a thousand steps
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b, f := testBank(t, func(r *retry.Config, c *breaker.Config) {
				r.MaxAttempts = 5
				c.ConsecutiveFailures, c.FailureRatio = -1, -1 // else it opens, and little is tried
			})
			f.set(rate, rate)
			r := b.move(t.Context(), 500, 8)
			f.set(0, 0)
			if err := audit(t.Context(), b.db, r.outcomes); err != nil {
				t.Error(err)
			}
			t.Logf("made %d, overdrafts %d, asked %d, failed %d, faults %d",
				r.count(made), r.overdrafts.Load(), r.asked.Load(), r.failed.Load(), f.injected.Load())
			if rate == 0 && r.count(made) != 475 {
				t.Errorf("%d of 500 transfers were made without a fault, want all but the 25 overdrafts", r.count(made))
			}
			if rate > 0 && f.injected.Load() == 0 {
				t.Error("nothing broke")
			}
		})
	}
}

// A commit without an answer is tried once, and what its caller is told lets the ledger be asked.
func TestUnknownCommit(t *testing.T) {
	b, f := testBank(t, func(_ *retry.Config, c *breaker.Config) { c.ConsecutiveFailures, c.FailureRatio = -1, -1 })
	f.set(0, 1000)
	const n = 50
	outcomes := make([]outcome, n)
	for id := range outcomes {
		v := transfer{id: int64(id), source: 0, target: 1, amount: 1}
		err := b.transfer(t.Context(), v)
		if _, ok := errors.AsType[*unknownError](err); !ok || !errors.Is(err, errReset) {
			t.Fatalf("%v, want an unknownError that is %v", err, errReset)
		}
		happened, err := b.happened(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if !happened {
			outcomes[id] = notMade
		}
	}
	if got := f.committed.Load(); got != n {
		t.Errorf("%d commits for %d transfers", got, n)
	}
	if err := audit(t.Context(), b.db, outcomes); err != nil {
		t.Error(err)
	}
}

// A fault before the commit is made up for.
func TestRetriesWholeTransactions(t *testing.T) {
	var b *bank
	var f *faults
	b, f = testBank(t, func(r *retry.Config, _ *breaker.Config) {
		r.OnRetry = func(retry.Event) { f.set(0, 0) } // one fault
	})
	f.set(1000, 0)
	if err := b.transfer(t.Context(), transfer{id: 0, source: 0, target: 1, amount: 1}); err != nil {
		t.Fatal(err)
	}
	if err := audit(t.Context(), b.db, []outcome{made}); err != nil {
		t.Error(err)
	}
}

// The database's own no is an answer: not retried, no failure.
func TestAnswers(t *testing.T) {
	b, _ := testBank(t, func(_ *retry.Config, c *breaker.Config) { c.ConsecutiveFailures = 1 })
	_, noRows := b.balance(t.Context(), accounts)
	overdraft := b.transfer(t.Context(), transfer{id: 0, source: 0, target: 1, amount: opening + 1})
	if !errors.Is(noRows, sql.ErrNoRows) || !isCode(overdraft, constraint) {
		t.Errorf("%v, %v; want no rows, a constraint", noRows, overdraft)
	}
	for _, err := range []error{noRows, overdraft} {
		if e, ok := errors.AsType[*retry.Error](err); !ok || e.Attempts != 1 {
			t.Errorf("%v; want one attempt", err)
		}
	}
	if got := b.breaker.State(); got != breaker.Closed {
		t.Errorf("breaker %v, want closed", got)
	}
}

// Rows may be read for longer than an attempt may take.
func TestRowsOutliveTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := testBank(t, func(r *retry.Config, _ *breaker.Config) { r.AttemptTimeout = time.Second })
		for id := range int64(3) {
			if err := b.transfer(t.Context(), transfer{id: id, source: 0, target: 1, amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := b.transfers(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
			time.Sleep(time.Minute)
		}
		if err := rows.Err(); err != nil || n != 3 {
			t.Errorf("%d rows, %v; want 3", n, err)
		}
	})
}
