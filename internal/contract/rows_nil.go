package contract

import (
	"context"
	"strings"
	"testing"
)

// nilPolicy: the call passes, untouched.
func nilPolicy(t *testing.T, c *Cell) {
	if c.Policy.Nil == nil {
		t.Skip("a stack: its layers are tested by themselves")
	}
	d := c.find(t, c.Policy.Nil())
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for range 2 { // the second time with a context that is done: that is fn's affair
		v, err := d.Call(ctx, func(got context.Context) (int, error) {
			if got != ctx {
				t.Error("fn gets another context than the caller's")
			}
			return 7, nil
		})
		if v != 7 || err != nil {
			t.Errorf("a success: got %d, %v, want 7, nil", v, err)
		}
		want := d.Failure(1)
		if v, err = d.Call(ctx, func(context.Context) (int, error) { return 5, want }); v != 5 || err != want {
			t.Errorf("a failure: got %d, %v, want 5, %v", v, err, want)
		}
		cancel(errCause)
	}
	if got, _ := recovered(func() {
		_, _ = d.Call(ctx, func(context.Context) (int, error) { panic("of fn") })
	}); got != "of fn" {
		t.Errorf("recovered %v, want fn's panic", got)
	}
	if d.Open != nil && d.Open() != 0 {
		t.Errorf("%d bodies were opened and not closed", d.Open())
	}
}

// nilFunc: an error from a door that is called with fn; where fn is given at construction, a panic there. Of a nil
// policy too: the fault is the same.
func nilFunc(t *testing.T, c *Cell) {
	doors := []Door{c.Fresh(t, Setup{}).Door}
	if c.Policy.Nil != nil {
		doors = append(doors, c.find(t, c.Policy.Nil()))
	}
	for _, d := range doors {
		var err error
		value, _ := recovered(func() { err = d.NilFunc(t.Context()) })
		switch text, _ := value.(string); {
		case d.AtConstruction && (value == nil || !strings.Contains(text, "nil")):
			t.Errorf("panicked with %v, want a text that says what is nil", value)
		case !d.AtConstruction && (value != nil || err == nil || !strings.Contains(err.Error(), "nil")):
			t.Errorf("error %v, panic %v; want an error that says what is nil", err, value)
		}
	}
	s := c.Fresh(t, Setup{})
	_, _ = recovered(func() { _ = s.Door.NilFunc(t.Context()) })
	s.Settled() // a call that cannot be made is in no book
}
