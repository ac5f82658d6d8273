package deadline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/deadline"
)

// model is a context that keeps what has happened to it. It has no channel and tells nobody.
type model struct {
	parent   error     // its cause, once it has ended
	limit    time.Time // zero: none
	released bool
	armed    bool // Done was asked for before Release, so it ends without being looked at
	ended    bool
	cause    error
	expired  bool
}

// look is what each method does first.
func (m *model) look() {
	switch {
	case m.ended:
	case m.parent != nil:
		m.end(m.parent)
	case !m.released && !m.limit.IsZero() && !time.Now().Before(m.limit):
		m.end(context.DeadlineExceeded)
		m.expired = true
	}
}

func (m *model) end(cause error) { m.ended, m.cause = true, cause }

func (m *model) cancel(cause error) {
	if m.look(); !m.ended && !m.released {
		m.end(cause)
	}
}

func (m *model) ask() {
	m.look()
	m.armed = m.armed || !m.ended && !m.released
}

func (m *model) err() error {
	switch {
	case !m.ended:
		return nil
	case m.expired:
		return context.DeadlineExceeded
	default:
		return context.Canceled
	}
}

// modelParent returns a parent of one of the kinds that have a cause, and what ends it.
func modelParent(kind byte) (context.Context, func()) {
	std, cancel := context.WithCancelCause(context.Background())
	ours := deadline.New(std, time.Time{})
	switch kind % 5 {
	case 0:
		return std, func() { cancel(errOther) }
	case 1:
		return context.WithValue(std, valueKey{}, 0), func() { cancel(errOther) }
	case 2:
		return ours, func() { ours.CancelCause(other); cancel(nil) }
	case 3:
		return context.WithValue(ours, valueKey{}, 0), func() { ours.CancelCause(other); cancel(nil) }
	default:
		ours.Release()
		return ours, func() { cancel(errOther) }
	}
}

// subject is a context and what was derived from it: whatever has ended, has ended in the same way.
type subject struct {
	*deadline.Context
	derived []context.Context
	calls   []*atomic.Int32 // of functions, at the end
}

// derive adds a context that is made in the way that op says, from one that is there. It reports whether that asks for
// Done.
func (s *subject) derive(op byte) (asks bool) {
	from := context.Context(s.Context)
	if i := int(op/5) % (len(s.derived) + 1); i > 0 {
		from = s.derived[i-1]
	}
	switch op % 5 {
	case 0:
		child, cancel := context.WithCancel(from)
		context.AfterFunc(child, cancel) // it is not to end otherwise
		from = child
	case 1:
		from = context.WithValue(from, valueKey{}, op)
	case 2:
		from = deadline.New(from, time.Time{})
	case 3:
		ours := deadline.New(from, time.Now().Add(time.Hour))
		ours.Release()
		from = ours
	case 4:
		called := new(atomic.Int32)
		context.AfterFunc(from, func() { called.Add(1) })
		s.calls = append(s.calls, called)
		return true
	}
	s.derived = append(s.derived, from)
	return op%5 == 0
}

// check compares all that can be seen.
func (s *subject) check(m *model) error {
	m.look()
	if err := s.Err(); err != m.err() || context.Cause(s) != m.cause || s.Expired() != m.expired {
		return fmt.Errorf("%v, cause %v, expired %v; want %v, cause %v, expired %v",
			err, context.Cause(s), s.Expired(), m.err(), m.cause, m.expired)
	}
	limited := !m.limit.IsZero() && !m.released
	if d, ok := s.Deadline(); !m.ended && (ok != limited || ok && !d.Equal(m.limit)) {
		return fmt.Errorf("deadline %v, %v", d, ok)
	}
	synctest.Wait()
	for i, d := range s.derived {
		if d.Err() != m.err() || context.Cause(d) != m.cause {
			return fmt.Errorf("derived %d, a %T: %v, cause %v; want %v, cause %v", i, d, d.Err(), context.Cause(d), m.err(), m.cause)
		}
	}
	for i, called := range s.calls {
		if n := called.Load(); n != 0 != m.ended || n > 1 {
			return fmt.Errorf("function %d was called %d times, ended %v", i, n, m.ended)
		}
	}
	return nil
}

// checkModel runs the operations coded in ops on a context and on the model. It must run in a bubble.
func checkModel(ops []byte) error {
	if len(ops) == 0 {
		return nil
	}
	parent, endParent := modelParent(ops[0])
	m := &model{}
	if ops[0]&64 == 0 {
		m.limit = time.Now().Add(time.Second)
	}
	s := &subject{Context: deadline.New(parent, m.limit)}
	defer func() {
		endParent() // so that all ends
		s.Cancel()
	}()
	for i, op := range ops[1:] {
		switch op % 10 {
		case 0:
			time.Sleep(300 * time.Millisecond)
			if m.armed {
				m.look() // the timer does
			}
		case 1:
			endParent()
			if m.parent = errOther; m.armed {
				m.look()
			}
			synctest.Wait()
		case 2:
			m.released = m.released || !m.ended
			s.Release()
		case 3:
			m.cancel(context.Canceled)
			s.Cancel()
		case 4:
			m.cancel(errLost)
			s.CancelCause(lost)
		case 5:
			m.ask()
			if isDone(s) != m.ended {
				return fmt.Errorf("operation %d: Done is closed: %v", i, !m.ended)
			}
		case 6, 7, 8:
			if s.derive(op / 10) {
				m.ask()
			}
		case 9:
			if err := s.check(m); err != nil {
				return fmt.Errorf("operation %d: %w", i, err)
			}
		}
	}
	if err := s.check(m); err != nil {
		return errors.Join(errors.New("in the end"), err)
	}
	return nil
}

func TestModel(t *testing.T) {
	for seed := range uint64(10_000) {
		random := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 1+random.IntN(15))
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Errorf("%v: %v", ops, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{0, 5, 6, 4, 9, 1, 9})
	f.Add([]byte{64, 7, 2, 4, 1, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		ops = ops[:min(len(ops), 30)]
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Error(err)
			}
		})
	})
}
