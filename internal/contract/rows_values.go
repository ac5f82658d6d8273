package contract

import (
	"context"
	"errors"
	"testing"
)

// allFail: the last value and the last error are returned, so that a bad response can still be looked at.
func allFail(t *testing.T, c *Cell) {
	s := c.Fresh(t, Setup{Attempts: 3})
	ran, last := 0, error(nil)
	v, err := s.Call(t.Context(), func(context.Context) (int, error) {
		ran++
		last = s.Door.Failure(ran)
		return 100 + ran, last
	})
	if ran != s.Attempts {
		t.Errorf("fn ran %d times, want %d", ran, s.Attempts)
	}
	if v != 100+ran || !errors.Is(err, last) {
		t.Errorf("got %d, %v; want the last value, %d, and the last error, %v", v, err, 100+ran, last)
	}
	if b := s.Layers[0].Books(); b != (Books{Failures: 1}) {
		t.Errorf("books are %+v, want one failure", b)
	}
	s.Settled()
}
