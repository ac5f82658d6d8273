package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Bulkhead bounds how many calls run at a time, and how many wait for that. It is safe for concurrent use. A nil
// Bulkhead passes calls through.
type Bulkhead struct {
	*base
	terms atomic.Pointer[terms] // of the calls that begin now; replaced under the mutex
	name  string
	total *Bulkhead // of a Keyed: the bulkhead that all keys share. Nil otherwise

	slots    slots
	tally    tally
	service  estimate
	refusals atomic.Pointer[refusals] // errors to be handed out, made when they are first wanted

	// mu guards the hand-over of places, and all below it. While there are free places nobody takes it; user code never
	// runs under it.
	mu      sync.Mutex
	limit   int
	spare   []*slot // withheld
	queue   queue
	meter   *meter      // nil: there has been no Rate yet
	waits   *waits      // nil: nobody has waited yet
	wake    *time.Timer // nil: nobody waits for a token
	wakeAt  wakeAt
	forRate bool // at the last look, those who wait waited for a token, not for a place
	unsure  bool // a call was refused because of how long calls take: the next is timed, lest that be true no more
}

// New returns a bulkhead, or an error that names every field of c that cannot work.
func New(c Config) (*Bulkhead, error) {
	f := conf.Check("bulkhead.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	b := newBulkhead(newBase(c, false), newSettings(c), c.Name, nil)
	telemetry.Attach(b.scope, (*source)(b))
	return b, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(c Config) *Bulkhead {
	b, err := New(c)
	if err != nil {
		panic(err)
	}
	return b
}

// fewSlots is how many there are at first: more are made when they are wanted. A hundred thousand idle bulkheads of a
// Keyed do not each carry all of theirs.
const fewSlots = 4

func newBulkhead(of *base, s *settings, name string, total *Bulkhead) *Bulkhead {
	b := &Bulkhead{base: of, name: name, total: total, limit: s.limit, queue: queue{max: s.queue}}
	var found *finder
	if s.adaptive != nil {
		found = newFinder(*s.adaptive)
		b.limit = found.limit()
	}
	b.putTermsLocked(s, found)
	b.slots.table.Store(b.newTable(nil, fewSlots))
	b.spare = append(b.spare, b.slots.table.Load().slots...)
	b.settleLocked()
	return b
}

// Config returns what the bulkhead goes by: the Config of New or the last Reconfigure, with the defaults in place of zeros where
// they are numbers, the Limit of now, and without providers and Logger. That of a nil Bulkhead is the zero Config.
func (b *Bulkhead) Config() Config {
	if b == nil {
		return Config{}
	}
	c := b.terms.Load().config()
	c.Name, c.Limit = b.name, b.Snapshot().Limit
	return c
}

// Do calls fn when there is a place for it, and gives the place back when fn is done. Most callers use Do. If there is
// no place, and none that is worth waiting for, fn is not called and the error is a [*FullError].
//
// If fn panics or ends its goroutine the place goes back too, and the panic goes on with its own stack.
func Do[T any](ctx context.Context, b *Bulkhead, fn func(context.Context) (T, error)) (v T, err error) {
	if b == nil && fn != nil {
		return fn(ctx)
	}
	var c call
	defer func() {
		if c.open { // a panic, or runtime.Goexit: seen without recover, so that the panic keeps its own stack
			c.abort()
		}
	}()
	if err = c.begin(ctx, b, fn == nil); err != nil {
		return v, err
	}
	v, err = fn(c.ctx)
	c.end(err)
	return v, err
}

// Wrap returns fn under the bulkhead: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[In, Out any](b *Bulkhead, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("bulkhead.Wrap: " + errNilFunc.Error())
	}
	if b == nil {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, b, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// Run is Do for work that has only an error.
func (b *Bulkhead) Run(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		return fmt.Errorf("%s: %w", b.label(), errNilFunc)
	}
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Resize changes the limit. Raised, it lets those who wait in at once; lowered, it takes effect as calls end: none is
// interrupted. The error says what limit would be right; then nothing has changed. An adaptive limit cannot be set.
func (b *Bulkhead) Resize(limit int) error {
	if b == nil {
		return nil
	}
	f := conf.Check(b.label())
	f.Want(limit >= 1 && limit <= maxLimit, "Resize", limit, "at least 1 and at most 1000000")
	err := f.Err()
	if b.terms.Load().finder != nil || err == nil && !b.resize(nil, func() int { return limit }) {
		return fmt.Errorf("%s: Resize(%d): the limit is adaptive: want a bulkhead without Config.Adaptive", b.label(), limit)
	}
	return err
}

var errNilFunc = errors.New("fn is nil")

// label is the bulkhead's name in errors.
func (b *Bulkhead) label() string {
	if b == nil {
		return "bulkhead"
	}
	return telemetry.Label("bulkhead", b.name)
}
