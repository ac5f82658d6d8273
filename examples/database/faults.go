package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// errReset is what a driver says of a connection that broke.
var errReset = errors.New("connection reset by peer")

// faults break connections to a database, as a network does. They sit between database/sql and the real driver.
type faults struct {
	driver.Connector

	// How many of a thousand fail: of the steps before a commit (a begin, a statement), and of the commits.
	steps, commits atomic.Int64

	made      atomic.Int64 // steps of either kind
	committed atomic.Int64 // commits among them
	injected  atomic.Int64 // faults
}

// set takes effect with the next step.
func (f *faults) set(steps, commits int64) {
	f.steps.Store(steps)
	f.commits.Store(commits)
}

// Connect implements driver.Connector.
func (f *faults) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := f.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	base, ok := c.(realConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("faults: %T is not what this recipe was written for", c)
	}
	return &conn{realConn: base, faults: f}, nil
}

// realConn is what database/sql uses of the real driver's connection. A wrapper that hides one of these methods
// changes what database/sql does.
type realConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn breaks: once a step has failed, nothing works any more, and the pool drops it.
type conn struct {
	realConn
	faults *faults
	broken bool
}

// step runs one step, or loses it. Half of what is lost has been done: only the answer is missing.
func step[T any](c *conn, perThousand *atomic.Int64, do func() (T, error)) (T, error) {
	var none T
	if c.broken {
		return none, errReset
	}
	c.faults.made.Add(1)
	if rand.Int64N(1000) >= perThousand.Load() {
		return do()
	}
	c.faults.injected.Add(1)
	c.broken = true
	if rand.N(2) == 0 {
		_, _ = do()
	}
	return none, errReset
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.broken && c.realConn.IsValid() }

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return step(c, &c.faults.steps, func() (driver.Result, error) { return c.realConn.ExecContext(ctx, query, args) })
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return step(c, &c.faults.steps, func() (driver.Rows, error) { return c.realConn.QueryContext(ctx, query, args) })
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	t, err := step(c, &c.faults.steps, func() (driver.Tx, error) { return c.realConn.BeginTx(ctx, opts) })
	if err != nil {
		return nil, err
	}
	return &tx{t, c}, nil
}

type tx struct {
	driver.Tx
	conn *conn
}

// Commit implements driver.Tx. One that was lost before it was done is rolled back, as a server does with a client that
// is gone.
func (t *tx) Commit() error {
	t.conn.faults.committed.Add(1)
	done := false
	_, err := step(t.conn, &t.conn.faults.commits, func() (struct{}, error) {
		done = true
		return struct{}{}, t.Tx.Commit()
	})
	if !done {
		_ = t.Tx.Rollback()
	}
	return err
}
