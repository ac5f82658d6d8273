package contract

import (
	"context"
	"testing"
	"testing/synctest"
)

// late: a result that arrives after the state has moved on changes nothing but the count of such results. The caller
// gets it all the same.
func late(t *testing.T, c *Cell) {
	for _, setup := range []Setup{{Attempts: 1}, {Attempts: 1, OnePlace: true}} {
		for _, result := range []error{nil, errFn} {
			lateResult(t, c, setup, result)
		}
	}
}

func lateResult(t *testing.T, c *Cell, setup Setup, result error) {
	t.Helper()
	s := c.Fresh(t, setup)
	calls := uint64(1)
	if !setup.OnePlace { // what was counted before must not be lost, either
		s.Passes()
		calls++
	}
	arrive, done := make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Call(context.Background(), func(context.Context) (int, error) {
			<-arrive
			return 7, result
		})
		done <- err
	}()
	synctest.Wait()
	s.MoveOn()
	state := s.State()
	close(arrive)
	if err := <-done; result == nil && err != nil {
		t.Errorf("a late success: the caller got %v", err)
	}
	if s.State() != state {
		t.Errorf("a late result (%v) changed the state from %s to %s", result, state, s.State())
	}
	total := Books{}
	for _, l := range s.Layers {
		b := l.Books()
		total.Successes += b.Successes
		total.Failures += b.Failures
		total.Late += b.Late
	}
	if total.Late != 1 || total.Successes+total.Failures != calls*uint64(len(s.Layers)) {
		t.Errorf("a late result (%v): the books of all layers add up to %+v, want it counted, and as late", result, total)
	}
	s.Settled()
}
