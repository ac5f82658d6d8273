package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what goes wrong.
type Kind uint8

// The kinds. What is not said of a door does not strike there.
const (
	// Failure is an error in place of a result: Fault.Err, or an [*Error]. A Handler answers 500; on a connection the Read or
	// the Write fails.
	Failure Kind = iota + 1

	// Latency is a Delay, at most until the context ends. On a connection it is what arrives first after something was sent
	// (or after the connection was made) that is late.
	Latency

	// BlackHole holds a call until its context ends. A connection takes and gives nothing until its deadline, or until it is
	// closed.
	BlackHole

	// Deaf is a Delay that heeds neither the context nor, on a connection, deadline and Close.
	Deaf

	// Panic panics with Fault.Panic, or with an [*Error]. Not on connections.
	Panic

	// Status is a response with Fault.Status, RetryAfter and Body: nothing is sent, no handler called. To Do and its kind it is
	// a [*StatusError] in an [*Error].
	Status

	// Reset is a connection that is reset: at once, or after so many Bytes of the body, or of what goes through a connection in
	// one direction. To Do and its kind it is the error that package net would have for it.
	Reset

	// Truncate ends a response's body after Bytes, as if the connection had been closed; a connection is closed after so many
	// in one direction. A body that is not longer is whole.
	Truncate

	// Corrupt changes one bit in each run of Bytes bytes (default 64) of a response's body, or on a connection of what is read
	// and written; or, if Fault.Body is not empty, puts that in the place of a response's body.
	Corrupt

	// Slow lets a response's body, or each direction of a connection, through at BytesPerSecond.
	Slow

	kinds
)

var kindNames = [kinds]string{
	Failure: "error", Latency: "latency", BlackHole: "black_hole", Deaf: "deaf", Panic: "panic",
	Status: "status", Reset: "reset", Truncate: "truncate", Corrupt: "corrupt", Slow: "slow",
}

func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

func (k Kind) valid() bool { return k > 0 && k < kinds }

func (k Kind) in(set ...Kind) bool { return slices.Contains(set, k) }

// MarshalText writes the kind as String has it.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames[:], string(text))
	if i <= 0 {
		return fmt.Errorf("%q: want one of %s", text, kindWords)
	}
	*k = Kind(i)
	return nil
}

var kindWords = strings.Join(kindNames[1:], ", ")
