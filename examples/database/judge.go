package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"

	"modernc.org/sqlite"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

// Primary result codes of SQLite (sqlite.org/rescode.html).
const (
	busy       = 5
	locked     = 6
	constraint = 19
)

// isCode reports whether err is one of the codes. The extended ones have the primary one in their lowest byte.
func isCode(err error, codes ...int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && slices.Contains(codes, e.Code()&0xff)
}

// retryable is a list of what passes, not of what does not: of a database's hundreds of errors few are worth another
// attempt. driver.ErrBadConn has been retried by database/sql already, on other connections.
//
// Retryable comes first. It knows a refusal of the breaker, which also is the error that opened it.
func retryable(err error) bool {
	if !retry.Retryable(err) {
		return false
	}
	return errors.Is(err, errReset) || errors.Is(err, driver.ErrBadConn) || isCode(err, busy, locked) ||
		errors.Is(err, context.DeadlineExceeded) // the attempt's: the caller's own ends the call by itself
}

// isAnswer: a database that finds no row, or keeps a constraint, is well.
func isAnswer(err error) bool { return errors.Is(err, sql.ErrNoRows) || isCode(err, constraint) }

// classify is for a breaker.
func classify(err error) breaker.Outcome {
	if isAnswer(err) {
		return breaker.Success
	}
	return breaker.DefaultClassify(err)
}

// movable and countable are for a failover. A replica that has no row yet which the primary has gives an answer too: what
// has to be seen at once by who has written it is read from the primary.
func movable(err error) bool   { return !isAnswer(err) && failover.Movable(err) }
func countable(err error) bool { return !isAnswer(err) && failover.Countable(err) }
