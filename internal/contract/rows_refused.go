package contract

import (
	"context"
	"errors"
	"testing"
)

// refusal is what a policy below fails with that has not called anybody.
type refusal struct{}

func (*refusal) Error() string { return "refused below" }
func (*refusal) Refused() bool { return true }

// refusedBelow: a refusal says that no work was done, by somebody who knows when it is worth while again. It is not
// repeated, says nothing about the dependency, and comes through.
func refusedBelow(t *testing.T, c *Cell) {
	s := c.Fresh(t, Setup{})
	below, ran, tokens := new(refusal), 0, s.tokens()
	_, err := s.Call(t.Context(), func(context.Context) (int, error) { ran++; return 0, below })
	if ran != 1 {
		t.Errorf("fn ran %d times, want once", ran)
	}
	wantRefusal(s, err, below, len(s.Layers), tokens)
	s.Passes()

	if s = c.Fresh(t, Setup{}); s.queueing() < 0 {
		return
	}
	tokens = s.tokens()
	empty := s.Fill()
	_, err = s.Call(t.Context(), func(context.Context) (int, error) {
		t.Error("fn was called")
		return 0, nil
	})
	wantRefusal(s, err, c.Policy.Full, s.queueing(), tokens)
	if b := s.Layers[s.queueing()].Books(); b.Refused != 1 {
		t.Errorf("books are %+v, want one refused", b)
	}
	empty()
	s.Passes()
}

// wantRefusal checks what the layers above have made of a refusal.
func wantRefusal(s *Subject, err, want error, above int, tokens float64) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%v: errors.Is does not find %v in it", err, want)
	}
	if r, ok := err.(interface{ Refused() bool }); !ok || !r.Refused() {
		s.t.Errorf("%v does not say that it is a refusal", err)
	}
	for _, l := range s.Layers[:above] {
		if b := l.Books(); b != l.Refusal {
			s.t.Errorf("%s: books are %+v, want %+v", l.Label, b, l.Refusal)
		}
	}
	s.wantTokens(tokens)
}
