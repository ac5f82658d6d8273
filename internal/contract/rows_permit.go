package contract

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// doneTwice: the second does nothing, whether it comes later, at the same time, or of a copy; and it does nothing to
// the permit of somebody else, either.
func doneTwice(t *testing.T, c *Cell) {
	for _, setup := range []Setup{{}, {OnePlace: true}} {
		s := c.Fresh(t, setup)
		done, copied := s.take()
		done(nil)
		next, _ := s.take() // it may have been given the same memory
		want := Books{Successes: 2}
		if setup.OnePlace && s.Layers[0].Places() != 0 { // when somebody has found none, places may go back by another way
			_, err := s.Call(t.Context(), succeed)
			if err == nil {
				t.Error("the only place is taken, and a second call passed")
			}
			want.Refused++
		}
		done(errFn)
		copied(errFn)
		next(nil)
		s.WantBooks(want)
		s.Settled()

		s = c.Fresh(t, setup)
		done, copied = s.take()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { done(nil) })
			all.Go(func() { copied(nil) })
		}
		all.Wait()
		s.WantBooks(Books{Successes: 1})
		s.Settled()
		s.Passes()
	}
}

func (s *Subject) take() (done, copied func(error)) {
	s.t.Helper()
	s.calls.Add(1)
	take := s.Take
	if s.Door.Take != nil {
		take = s.Door.Take
	}
	done, copied, err := take()
	if err != nil {
		s.t.Fatal(err)
	}
	return done, copied
}

// neverDone: a permit that is lost holds its place no longer than the policy says.
func neverDone(t *testing.T, c *Cell) {
	s := c.Fresh(t, Setup{OnePlace: true})
	if _, _, err := s.Take(); err != nil { // not counted as a call: it has no result, and is in no book
		t.Fatal(err)
	}
	runtime.GC()
	if _, err := s.Call(context.Background(), succeed); err == nil {
		t.Error("the only place is taken, and a second call passed")
	}
	time.Sleep(s.SilentFor)
	_, _ = s.Call(context.Background(), succeed) // this one may find that the place was lost, and pay for it
	time.Sleep(s.Recovery)
	s.Passes()
	for _, l := range s.Layers {
		if l.Places() != 0 {
			t.Errorf("%s: %d places are still out", l.Label, l.Places())
		}
	}
}
