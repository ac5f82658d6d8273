package contract

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// inQueues runs a check for each thing that calls wait for, in a bubble.
func inQueues(t *testing.T, c *Cell, check func(*testing.T, *Cell, Queue)) {
	t.Helper()
	if len(c.Policy.Queues) == 0 {
		t.Fatal("there is no queue: a policy that has none documents it as a difference")
	}
	for _, q := range c.Policy.Queues {
		t.Run(q.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { check(t, c, q) })
		})
	}
}

// endsQueued: a call that waits before it runs returns at once when its context ends, with both the cause and what it
// did not get. fn is not called. It leaves its place in the queue to the next, and to that also what it waited for.
func endsQueued(t *testing.T, c *Cell) {
	inQueues(t, c, func(t *testing.T, c *Cell, q Queue) {
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := time.AfterFunc(10*time.Second, func() { cancel(errCause) })
		defer waiting.Stop()
		leavesQueue(t, c, q, ctx, context.Canceled)

		// A deadline that does not show beforehand, so that it is waited towards.
		bounded, stop := context.WithTimeoutCause(t.Context(), 10*time.Second, errCause)
		defer stop()
		leavesQueue(t, c, q, Unforeseen{bounded}, context.DeadlineExceeded)

		turns := 20 // whether it sees the one or the other first is a matter of chance
		if c.Policy.Brief {
			turns = 3
		}
		for range turns {
			endsAtItsTurn(t, c, q)
		}
	})
}

// endsAtItsTurn makes a call whose context ends just before there is what it waits for. Should it have been given that, it
// gives it back.
func endsAtItsTurn(t *testing.T, c *Cell, q Queue) {
	t.Helper()
	s := c.Subject(t, q.New(t, Setup{Wait: time.Hour, AttemptTimeout: 10 * time.Hour}))
	empty := s.Fill()
	ctx, cancel := context.WithCancelCause(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := s.Call(ctx, func(context.Context) (int, error) {
			t.Error("fn was called")
			return 7, nil
		})
		over <- err
	}()
	synctest.Wait()
	cancel(errCause)
	empty()
	if err := <-over; !errors.Is(err, errCause) || !s.says(err, c.Policy.Full) {
		t.Errorf("%v; want both %v and %v", err, errCause, c.Policy.Full)
	}
	start := time.Now()
	s.Passes()
	if waited := time.Since(start); waited != 0 {
		t.Errorf("the next call had to wait for %v", waited)
	}
	s.Settled()
}

// leavesQueue makes a call whose context ends after 10 s, while it waits.
func leavesQueue(t *testing.T, c *Cell, q Queue, ctx context.Context, ended error) {
	t.Helper()
	s := c.Subject(t, q.New(t, Setup{Wait: time.Hour, AttemptTimeout: 10 * time.Hour}))
	empty := s.Fill()
	before, start := s.tokens(), time.Now()
	v, err := s.Call(ctx, func(context.Context) (int, error) {
		t.Error("fn was called")
		return 7, nil
	})
	if took := time.Since(start); took != 10*time.Second {
		t.Errorf("it returned after %v, want 10s: when the context ended", took)
	}
	for _, want := range []error{errCause, ended} {
		if !errors.Is(err, want) {
			t.Errorf("%v: errors.Is does not find %v in it", err, want)
		}
	}
	if !s.says(err, c.Policy.Full) {
		t.Errorf("%v: it does not say what the call did not get", err)
	}
	if v != 0 {
		t.Errorf("the value is %d, want none", v)
	}
	s.wantTokens(before)
	queue := s.queueing()
	s.gone(queue)
	nobodyWaits(s)
	for i, l := range s.Layers {
		switch b := l.Books(); {
		case ended != context.Canceled && i != queue: // whether a deadline of the caller's is a failure is the layer's own affair
		case i <= queue && (b.Ignored != 1 || b.Failures != 0 || b.Refused != 0):
			t.Errorf("%s: books are %+v, want the call ignored", l.Label, b)
		case i > queue && b != Books{}:
			t.Errorf("%s: books are %+v, and it is below the queue", l.Label, b)
		}
	}
	servedNext(s, empty)
}

// says reports whether an error says what the call did not get in the queue. Who does not wait for what is below need not
// have heard of it.
func (s *Subject) says(err, full error) bool {
	return s.queueing() >= s.below() || errors.Is(err, full)
}

// gone waits until the layers down to the queue have noticed that their caller has gone.
func (s *Subject) gone(queue int) {
	for i := s.below(); i <= queue; i++ {
		books := s.Layers[i].Books
		eventually(1000, func() bool { b := books(); return b.Ignored+b.Failures > 0 })
	}
}

// nobodyWaits checks that the queues are empty.
func nobodyWaits(s *Subject) {
	s.t.Helper()
	for _, l := range s.Layers {
		if l.Queued != nil && l.Queued() != 0 {
			s.t.Errorf("%s: %d calls wait, want none", l.Label, l.Queued())
		}
	}
}

// servedNext checks that a call can wait where another did, and runs as soon as there is what it waits for.
func servedNext(s *Subject, empty func()) {
	s.t.Helper()
	served := make(chan error, 1)
	go func() {
		_, err := s.Call(context.Background(), succeed)
		served <- err
	}()
	synctest.Wait()
	select {
	case err := <-served:
		s.t.Errorf("the next call did not wait: %v", err)
		served <- err
	default:
	}
	empty()
	synctest.Wait()
	select {
	case err := <-served:
		if err != nil {
			s.t.Errorf("the next call: %v", err)
		}
	default:
		s.t.Error("what the next call waits for is there, and it still waits")
		<-served
	}
	s.Settled()
	s.Passes()
	s.Settled()
}

// unmetQueued: a call that would not be done before its deadline, were it to wait, is refused at once. One that would
// be waits, and is done.
func unmetQueued(t *testing.T, c *Cell) {
	inQueues(t, c, func(t *testing.T, c *Cell, q Queue) {
		s := c.Subject(t, q.New(t, Setup{Wait: time.Hour}))
		slow := func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil }
		wantSuccess(s, t.Context(), "a call that takes a minute", slow) // so it is known how long they take
		empty := s.Fill()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Call(ctx, func(context.Context) (int, error) {
			t.Error("fn was called")
			return 7, nil
		})
		if took := time.Since(start); took != 0 {
			t.Errorf("it returned after %v: it waited towards a deadline that it could not meet", took)
		}
		if !errors.Is(err, c.Policy.Full) || !c.Policy.Hopeless(err) || ctx.Err() != nil {
			t.Errorf("%v; want %v, because of the deadline. The context: %v", err, c.Policy.Full, ctx.Err())
		}
		if b := s.Layers[s.queueing()].Books(); b.Refused != 1 {
			t.Errorf("books are %+v, want one refused", b)
		}
		nobodyWaits(s)

		enough, stop := context.WithTimeout(t.Context(), 3*time.Minute)
		defer stop()
		served := make(chan error, 1)
		go func() {
			_, err := s.Call(enough, slow)
			served <- err
		}()
		synctest.Wait()
		empty()
		if err := <-served; err != nil {
			t.Errorf("a call that can be done before its deadline: %v", err)
		}
		s.Settled()
	})
}
