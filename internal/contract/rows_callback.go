package contract

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// callbackPanics: it reaches the caller whose call caused it. The state stays sound, no lock is held meanwhile or
// afterwards, and what the call had taken goes back. The end of the goroutine is no different.
func callbackPanics(t *testing.T, c *Cell) {
	for _, cb := range c.Policy.Callbacks {
		if cb.Doors != nil && !slices.Contains(cb.Doors, c.Door) {
			continue
		}
		t.Run(cb.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				badCallback(t, c, cb, cb.Err, func(call func(), hook *func()) {
					value := new(int)
					*hook = func() { panic(value) }
					if got, _ := c.recovered(call); got != any(value) {
						t.Errorf("recovered %v, want the value that the callback panicked with", got)
					}
				})
			})
		})
		t.Run(cb.Name+", Goexit", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				badCallback(t, c, cb, cb.Err, func(call func(), hook *func()) {
					*hook = runtime.Goexit
					if !exits(call) {
						t.Error("the call returned")
					}
				})
			})
		})
	}
}

// badCallback lets provoke make the call in which the callback goes wrong, once, and looks at what is left.
func badCallback(t *testing.T, c *Cell, cb Callback, result error, provoke func(call func(), hook *func())) {
	t.Helper()
	var s *Subject
	wrong, called := func() {}, 0
	s = c.Subject(t, cb.New(t, func() {
		if called++; called > 1 {
			return
		}
		for _, l := range s.Layers { // user code looks at the policy: it hangs here if a lock is held
			_ = l.Books()
		}
		if s.State != nil {
			_ = s.State()
		}
		wrong()
	}))
	before, ran := s.tokens(), 0
	provoke(func() {
		_, _ = s.Call(t.Context(), func(context.Context) (int, error) { ran++; return 7, result })
	}, &wrong)
	s.unseen = cb.Before
	if called == 0 {
		t.Fatal("the callback was not called: this cell tests nothing")
	}
	spent, retries := before-s.tokens(), float64(max(ran-1, 0))
	if spent != retries && !(s.apart() && spent > retries) { // an attempt that is refused below costs a hedge its token
		t.Errorf("%v tokens were spent on %v retries", spent, retries)
	}
	s.rest()
	for _, l := range s.Layers {
		if result != nil && l.Books().Successes != 0 {
			t.Errorf("%s: books are %+v: the call failed, and its callback too", l.Label, l.Books())
		}
	}
	s.Settled()
	time.Sleep(s.Recovery)
	s.Passes()
	if before := called; result != nil {
		_, _ = s.Call(t.Context(), func(context.Context) (int, error) { return 7, result })
		if called == before {
			t.Error("after it has panicked once the callback is not called any more")
		}
	}
	s.Settled()
}

// dropped: a value that does not reach the caller is closed. Here, because a callback panicked with a response in
// hand; the bodies that retries drop are looked at over real connections.
func dropped(t *testing.T, c *Cell) {
	if c.Fresh(t, Setup{}).Door.Open == nil {
		t.Skip("a value of this door holds nothing open, that the policy would know of")
	}
	for _, cb := range c.Policy.Callbacks {
		if cb.Status == 0 || cb.Doors != nil && !slices.Contains(cb.Doors, c.Door) {
			continue
		}
		t.Run(cb.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				badCallback(t, c, cb, Status(cb.Status), func(call func(), hook *func()) {
					*hook = func() { panic("callback") }
					if got, _ := c.recovered(call); got != "callback" {
						t.Errorf("recovered %v", got)
					}
				})
			})
		})
	}
}
