package contract

import "testing"

// noAllocation: a success costs none, in every door but HTTP's, for there the request is one already.
func noAllocation(t *testing.T, c *Cell) {
	s := c.Fresh(t, Setup{})
	if s.Door.Allocates {
		t.Skip("the request of an HTTP call is an allocation already")
	}
	ctx := t.Context()
	var fn Func = succeed
	if n := testing.AllocsPerRun(1000, func() {
		if v, err := s.Door.Call(ctx, fn); v != 7 || err != nil {
			t.Errorf("got %d, %v, want 7, nil", v, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}
