package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Cell is a row in a door.
type Cell struct {
	Policy Policy
	Door   string
	row    Row
}

// Subject is a fresh policy in one cell. It counts the calls, for the books.
type Subject struct {
	*Instance
	Door  Door
	t     *testing.T
	calls atomic.Uint64

	beside uint64           // how many more there are in the books of the layer that has a queue
	unseen func(Layer) bool // which layers have one less. Nil: none
}

// errFn is what an fn of the suite fails with.
var errFn = errors.New("fn failed")

func (c *Cell) difference(t *testing.T) (Difference, bool) {
	t.Helper()
	if d, ok := c.find(t, c.Policy.New(t, Setup{}).Doors).Differs[c.row]; ok {
		return d, true
	}
	d, ok := c.Policy.Differs[c.row]
	return d, ok
}

func (c *Cell) find(t *testing.T, doors []Door) Door {
	t.Helper()
	i := slices.IndexFunc(doors, func(d Door) bool { return d.Name == c.Door })
	if i < 0 {
		t.Fatalf("there is no door %s", c.Door)
	}
	return doors[i]
}

// Fresh makes a policy to the setup.
func (c *Cell) Fresh(t *testing.T, s Setup) *Subject {
	t.Helper()
	return c.Subject(t, c.Policy.New(t, s))
}

// Subject looks at an instance through the door of the cell.
func (c *Cell) Subject(t *testing.T, in *Instance) *Subject {
	t.Helper()
	return &Subject{Instance: in, Door: c.find(t, in.Doors), t: t}
}

// Call runs fn through the door.
func (s *Subject) Call(ctx context.Context, fn Func) (int, error) {
	s.calls.Add(1)
	return s.Door.Call(ctx, fn)
}

// Fill takes all of what calls wait for, so that the next has to wait; the returned function gives it back.
func (s *Subject) Fill() (empty func()) {
	s.t.Helper()
	l := s.queueing()
	if l < 0 {
		s.t.Fatal("no layer has a queue")
	}
	empty, calls := s.Layers[l].Fill()
	s.beside += calls
	return empty
}

// queueing is the layer that has a queue; below zero if none has.
func (s *Subject) queueing() int {
	return slices.IndexFunc(s.Layers, func(l Layer) bool { return l.Fill != nil })
}

// below is the first layer that is below one that is Apart.
func (s *Subject) below() int {
	if i := slices.IndexFunc(s.Layers, func(l Layer) bool { return l.Apart }); i >= 0 {
		return i + 1
	}
	return len(s.Layers)
}

// apart reports whether any layer is.
func (s *Subject) apart() bool {
	return slices.ContainsFunc(s.Layers, func(l Layer) bool { return l.Apart })
}

// rest waits for what may still be under way below a layer that is Apart.
func (s *Subject) rest() {
	for i := s.below(); i < len(s.Layers); i++ {
		eventually(1000, func() bool { return s.unsettled(i) == "" })
	}
}

// Passes checks that a call goes through: nothing is wedged, no lock is held, no place is lost. It calls from another
// goroutine, because whoever holds a lock may well not notice.
func (s *Subject) Passes() {
	s.t.Helper()
	s.rest()
	type result struct {
		v   int
		err error
	}
	got := make(chan result)
	go func() {
		v, err := s.Call(context.Background(), succeed)
		got <- result{v, err}
	}()
	if r := <-got; r.v != 7 || r.err != nil {
		s.t.Errorf("the next call: got %d, %v, want 7, nil", r.v, r.err)
	}
}

func succeed(context.Context) (int, error) { return 7, nil }

// Settled checks what holds whenever no call is under way: the books balance, all places are back, all bodies closed.
func (s *Subject) Settled() {
	s.t.Helper()
	for i := range s.Layers {
		fault := ""
		settled := func() bool { fault = s.unsettled(i); return fault == "" }
		if i < s.below() {
			settled()
		} else { // an attempt may be about to begin still: that it is settled at one time is not to say that it is for good
			eventually(1000, settled)
		}
		if fault != "" {
			s.t.Error(fault)
		}
	}
	if s.Door.Open == nil {
		return
	}
	if s.apart() {
		eventually(1000, func() bool { return s.Door.Open() == 0 })
	}
	if s.Door.Open() != 0 {
		s.t.Errorf("%d bodies were opened and not closed", s.Door.Open())
	}
}

// unsettled says what of layer i is not as it is when no call is under way.
func (s *Subject) unsettled(i int) string {
	l, entered, known := s.Layers[i], s.calls.Load(), true
	if i > 0 {
		if known = l.Entered != nil; known {
			entered = l.Entered()
		}
	}
	if l.Fill != nil {
		entered += s.beside
	}
	if s.unseen != nil && s.unseen(l) {
		entered--
	}
	switch b := l.Books(); {
	case known && b.Calls() != entered:
		return fmt.Sprintf("%s: %d calls, but the books have %d: %+v", l.Label, entered, b.Calls(), b)
	case l.Places != nil && l.Places() != 0:
		return fmt.Sprintf("%s: %d places are out, and no call is under way", l.Label, l.Places())
	case l.Queued != nil && l.Queued() != 0:
		return fmt.Sprintf("%s: %d calls wait, and none is under way", l.Label, l.Queued())
	}
	return ""
}

// WantBooks checks the books of every layer.
func (s *Subject) WantBooks(want Books) {
	s.t.Helper()
	s.rest()
	for i, l := range s.Layers {
		if i >= s.below() {
			eventually(1000, func() bool { return l.Books() == want })
		}
		if got := l.Books(); got != want {
			s.t.Errorf("%s: books are %+v, want %+v", l.Label, got, want)
		}
	}
}

// wantTokens checks what is in all budgets, again once what is below has settled.
func (s *Subject) wantTokens(want float64) {
	s.t.Helper()
	if s.apart() {
		eventually(1000, func() bool { return s.tokens() == want })
	}
	if got := s.tokens(); got != want {
		s.t.Errorf("the budget has %v tokens, want %v: it has had them before, and no retry was made", got, want)
	}
}

// tokens are those of all budgets.
func (s *Subject) tokens() (sum float64) {
	for _, l := range s.Layers {
		if l.Tokens != nil {
			sum += l.Tokens()
		}
	}
	return sum
}

// Failure is an error for fn to fail with n times over, each time another one: through an HTTP door a response, since
// a RoundTripper that returns an error has no value beside it.
func (d *Door) Failure(n int) error {
	if d.HTTP {
		return []Status{http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout}[n%3]
	}
	return &numbered{n}
}

type numbered struct{ n int }

func (e *numbered) Error() string { return "failure" }

// bubble runs a check in a bubble, where time is that of the test.
func bubble(check func(*testing.T, *Cell)) func(*testing.T, *Cell) {
	return func(t *testing.T, c *Cell) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) { check(t, c) })
	}
}

// bubbles runs a check in a bubble for each variant.
func bubbles[V any](t *testing.T, variants map[string]V, check func(*testing.T, V)) {
	t.Helper()
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { check(t, v) })
		})
	}
}

// eventually reports whether done becomes true within some collections. What it waits for is the work of the runtime
// and of goroutines that have been told to end, so each round of it helps. Most of it is done when others have had a turn.
func eventually(rounds int, done func() bool) bool {
	for round := range rounds {
		if done() {
			return true
		}
		if round >= 100 { // a collection takes as long as many a row
			runtime.GC()
		}
		runtime.Gosched()
	}
	return false
}
