package contract

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"
)

// Func is what a door runs.
type Func = func(context.Context) (int, error)

// Policy is what the suite must know of a policy, or of a stack of some.
type Policy struct {
	Name string

	// Variant says that this is made of policies that are tested by themselves: a stack. It is spared the longest runs.
	Variant bool

	// Brief says that there is a longer test of much the same: of the same layers in another order. It is spared
	// whatever takes a second.
	Brief bool

	// Goroutines, if not 0, is how many the row of a thousand goroutines has.
	Goroutines int

	// Version, if not empty, is the one version of HTTP to run the rows over that are run over both.
	Version string

	// Only, if not nil, are the rows to run: of a policy that runs fn several times at once, those whose fn can stand it.
	Only []Row

	// New makes a fresh one. The suite calls it inside of a bubble where a row waits.
	New func(testing.TB, Setup) *Instance

	// Nil are the doors of the nil policy, under the names that New gives them. Nil where there is none: a stack.
	Nil func() []Door

	// Callbacks are all places where the policy runs code of the user's, other than fn.
	Callbacks []Callback

	// Unmet is the error that says that the deadline comes before the next attempt, of a policy that waits.
	Unmet error

	// Queues are all that a call may have to wait for before it runs. Nil where there is nothing.
	Queues []Queue

	// Full is what the error is of a call that did not get what it waited for; Hopeless reports whether it is so
	// because it would not have been done before its deadline.
	Full     error
	Hopeless func(error) bool

	// Carried is what a panic reaches the caller as that comes from a goroutine of a layer that is Apart: the value and
	// the stack of that goroutine. Nil: no layer is.
	Carried func(recovered any) (value any, stack string, ok bool)

	// Differs are the rows that are different in all doors. Those of one door are in the [Door], and go before these.
	Differs map[Row]Difference
}

// Setup is what a row wants of a fresh policy. A policy takes of it what it has.
type Setup struct {
	// Attempts is how often a policy that repeats runs an fn that fails. 0: 3 times.
	Attempts int

	// Wait is how long a call waits that cannot go on at once: after a failed attempt, in a queue. 0: not at all.
	Wait time.Duration

	// AttemptTimeout is the time limit of an attempt. 0: none.
	AttemptTimeout time.Duration

	// Poor leaves nothing in the budget but what it grants for nothing, to a caller with little traffic.
	Poor bool

	// OnePlace leaves one place: a breaker is half-open and admits one probe, a bulkhead has one place. The call that
	// takes it has to give it back.
	OnePlace bool

	// Places is how many calls a policy that limits them lets run at once. 0: one.
	Places int

	// Busy is for many calls at once, that fail often: nothing may be configured away, a breaker opens and recovers
	// within milliseconds.
	Busy bool
}

// Instance is a fresh policy.
type Instance struct {
	Doors []Door

	// Layers are the policies of a stack from the outside in. A policy by itself has one.
	Layers []Layer

	// Recovery is how long after a failure calls pass again for sure.
	Recovery time.Duration

	// Attempts is how often fn is run if it fails each time.
	Attempts int

	// State is the state, and MoveOn changes it under the calls that are under way. Nil where there is none.
	State  func() string
	MoveOn func()

	// Take is the primitive: it returns the Done of a permit, and that of a copy of it. Nil where there is none.
	Take func() (done, copied func(error), err error)

	// SilentFor is how long a permit's place stays taken if the permit is never given back.
	SilentFor time.Duration

	// Transport is the HTTP form. Nil where there is none.
	Transport func(next http.RoundTripper) http.RoundTripper
}

// Door is one way into a policy.
type Door struct {
	Name string

	// Call runs fn under the policy through this door.
	Call func(context.Context, Func) (int, error)

	// NilFunc calls the door without a function; AtConstruction says that the function is given when the door is
	// built, so that the fault shows there, as a panic. A door without a function has a [Difference].
	NilFunc        func(context.Context) error
	AtConstruction bool

	// HTTP says that Call goes through a RoundTripper: see [TransportDoor]. Open counts the bodies, of requests and
	// responses, that were opened and not closed.
	HTTP bool
	Open func() int64

	// Allocates says that a success is not free of allocations here: HTTP, where the request alone is one.
	Allocates bool

	// Take is the primitive of this door. Nil: that of the [Instance].
	Take func() (done, copied func(error), err error)

	// Differs are the rows that are different in this door.
	Differs map[Row]Difference
}

// Layer is one policy of a stack.
type Layer struct {
	Label string // how it is called in errors: "retry orders"
	Books func() Books

	// Entered counts the calls that reached the layer, in the adapter between the layers. Nil for the outermost one:
	// the suite counts those itself; and where there is nothing between the layers: it is not known then.
	Entered func() uint64

	// Apart says that the layer runs what is below it in goroutines of their own, which it waits for no longer than the
	// caller's context lasts. So what is below is settled a moment after a call has returned; and what happens below once
	// that context has ended may be in no error.
	Apart bool

	Places func() int     // permits and probes that are out. Nil: the policy has none
	Tokens func() float64 // in its budget. Nil: the policy has none
	Queued func() int     // calls that wait. Nil: none ever does

	// Refusal is how a call is in the books that was refused below.
	Refusal Books

	// Fill takes all of what calls of this layer wait for, and the returned function sees to it that one call can have
	// it again. calls is how many calls that is in the books of the layer, once all of it is given back. Nil: the
	// policy has no queue.
	Fill func() (empty func(), calls uint64)
}

// Books are what a policy says became of its calls.
type Books struct {
	Successes, Failures, Ignored, Refused uint64

	Late uint64 // of the first two, those that came after the state had moved on
}

// Calls is the sum.
func (b Books) Calls() uint64 { return b.Successes + b.Failures + b.Ignored + b.Refused }

// Callback is one place where a policy runs code of the user's.
type Callback struct {
	Name string

	// New makes an instance that calls hook in this place during the first call, if that call's fn returns Err; for a
	// policy that judges responses too, also if a response stands for Err.
	New func(t testing.TB, hook func()) *Instance
	Err error

	// Status, if not 0, is the HTTP status that stands for Err in an HTTP door.
	Status int

	// Doors are where it can happen. Nil: in all.
	Doors []string

	// Before, if not nil, says of which layer this is run before a call is one of its calls: if it goes wrong there, it
	// is in no book of that layer.
	Before func(Layer) bool
}

// Queue is something that calls wait for, in the order of their coming or in another: a place, their turn.
type Queue struct {
	Name string

	// New makes an instance to a setup, in which nobody else waits for anything. One of its layers has a Fill. One call
	// at a time may wait, for Setup.Wait at most.
	New func(testing.TB, Setup) *Instance
}

// Difference is a cell that differs from its row.
type Difference struct {
	Why     string
	Instead func(*testing.T, *Cell) // checks what happens instead
}

// Run runs every row in every door, each as a subtest "row/door".
func Run(t *testing.T, p Policy) {
	var doors []string
	for _, d := range p.New(t, Setup{}).Doors {
		doors = append(doors, d.Name)
	}
	for _, r := range rows {
		if p.Only != nil && !slices.Contains(p.Only, r.name) {
			continue
		}
		t.Run(string(r.name), func(t *testing.T) {
			for _, door := range doors {
				t.Run(door, func(t *testing.T) { r.run(t, &Cell{Policy: p, Door: door, row: r.name}) })
			}
		})
	}
}

// AsRow is for a cell that is different in what the suite is told of the policy, and for the rest as its row.
func AsRow(t *testing.T, c *Cell) {
	t.Helper()
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == c.row })
	rows[i].check(t, c)
}

func (r *row) run(t *testing.T, c *Cell) {
	check := r.check
	if d, ok := c.difference(t); ok {
		t.Logf("differs: %s", d.Why)
		check = d.Instead
	}
	check(t, c)
}
