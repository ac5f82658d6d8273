package contract

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// panics: the same value reaches the caller, with the stack of the panic. All that was taken goes back, and it counts
// as a failure. Also in a later attempt, which holds more.
func panics(t *testing.T, c *Cell) {
	abortedCall(t, c, func(s *Subject, fn Func) {
		value := new(int) // a pointer: only the very same value compares equal
		got, stack := c.recovered(func() {
			_, _ = s.Call(t.Context(), func(ctx context.Context) (int, error) {
				if v, err := fn(ctx); err != nil {
					return v, err
				}
				panicOfFn(value)
				return 0, nil
			})
			t.Error("the call returned")
		})
		if got != any(value) {
			t.Errorf("recovered %v, want the value that fn panicked with", got)
		}
		if !strings.Contains(stack, "contract.panicOfFn") {
			t.Errorf("the stack does not show where fn panicked:\n%s", stack)
		}
	})
}

//go:noinline
func panicOfFn(value any) { panic(value) }

// recovered returns what f panics with, and the stack at that time.
func recovered(f func()) (value any, stack string) {
	defer func() {
		stack = string(debug.Stack())
		value = recover()
	}()
	f()
	return nil, ""
}

// recovered is what f panics with, wherever it does.
func (c *Cell) recovered(f func()) (value any, stack string) {
	value, stack = recovered(f)
	if c.Policy.Carried != nil {
		if inner, where, ok := c.Policy.Carried(value); ok {
			return inner, where
		}
	}
	return value, stack
}

// goexits: as a panic.
func goexits(t *testing.T, c *Cell) {
	abortedCall(t, c, func(s *Subject, fn Func) {
		if exits(func() {
			_, _ = s.Call(t.Context(), func(ctx context.Context) (int, error) {
				if v, err := fn(ctx); err != nil {
					return v, err
				}
				runtime.Goexit()
				return 0, nil
			})
		}) {
			return
		}
		t.Error("the call returned")
	})
}

// exits reports whether f ended its goroutine.
func exits(f func()) bool {
	returned := make(chan bool, 1)
	go func() {
		defer close(returned)
		f()
		returned <- true
	}()
	return !<-returned
}

// abortedCall has abort make a call whose fn goes wrong once fn, which it runs first, has returned no error.
func abortedCall(t *testing.T, c *Cell, abort func(*Subject, Func)) {
	t.Helper()
	for _, setup := range []Setup{{OnePlace: true}, {OnePlace: true, AttemptTimeout: time.Second}} {
		s := c.Fresh(t, setup)
		abort(s, func(context.Context) (int, error) { return 0, nil })
		s.WantBooks(Books{Failures: 1})
		s.Settled()
		time.Sleep(s.Recovery)
		s.Passes()
		s.Settled()
	}
	s := c.Fresh(t, Setup{})
	if s.Attempts == 1 {
		return
	}
	ran := 0
	abort(s, func(context.Context) (int, error) {
		if ran++; ran == 1 {
			return 0, errFn
		}
		return 0, nil
	})
	if ran != 2 || s.Layers[0].Books() != (Books{Failures: 1}) {
		t.Errorf("second attempt: fn ran %d times; books are %+v, want one failure", ran, s.Layers[0].Books())
	}
	s.Settled()
	s.Passes()
}
