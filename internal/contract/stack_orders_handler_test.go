package contract_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// A request can be answered once: the Handler of a stack with a retry or a hedge in it is a fault of the program's, and says so
// when it is built.
func TestStackOrdersHandlerRefuses(t *testing.T) {
	inEachOrder(t, func(t *testing.T, order []string, _ int) {
		for _, with := range [][]string{order, without(order, "retry"), without(order, "hedge")} {
			s, _ := stackOf(layersOf(t, with, contract.Setup{}, false), nil)
			func() {
				defer func() {
					text := fmt.Sprint(recover())
					if !strings.Contains(text, "Handler") || !strings.Contains(text, "retry(") && !strings.Contains(text, "hedge(") {
						t.Errorf("%v: panicked with %q, want it to name what cannot be there", with, text)
					}
				}()
				s.Handler(http.NotFoundHandler())
			}()
		}
	})
}

func without(order []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(order), func(other string) bool { return other == name })
}

// handlerRows are those that a server's side can have.
var handlerRows = []contract.Row{
	contract.ContextDone, contract.EndsDuring, contract.EndsQueued, contract.UnmetQueued, contract.Cancelled,
	contract.RefusedBelow, contract.Panics, contract.Goexits, contract.LivesOn, contract.Late, contract.NilFunc,
	contract.AllFail, contract.Thousand,
}

// The stacks that a Handler takes keep the contract in each order: of a breaker, a bulkhead and a failover, all or some.
func TestStackOrdersHandler(t *testing.T) {
	for _, all := range [][]string{{"breaker"}, {"bulkhead"}, {"failover"}, {"breaker", "bulkhead"}, {"breaker", "failover"}, {"bulkhead", "failover"}, {"breaker", "bulkhead", "failover"}} {
		for _, order := range permutations(all) {
			for name, counting := range map[string]bool{"": false, ", watched": true} {
				p := stackPolicyOf(order, false, func(layers []layer) *contract.Instance { return behindHandler(layers, counting) })
				p.Name = "holdfast.Stack(" + strings.Join(order, ", ") + ").Handler" + name
				p.Brief, p.Only = true, handlerRows
				handlerInStack(order, p.Differs)
				t.Run(p.Name, func(t *testing.T) {
					t.Parallel()
					contract.Run(t, p)
				})
			}
		}
	}
}

// behindHandler is a stack in the door of a server.
func behindHandler(layers []layer, counting bool) *contract.Instance {
	in := stack(layers)
	var counts []*atomic.Uint64
	for i := range in.Layers {
		in.Layers[i].Entered = nil
		if counting {
			counts = append(counts, new(atomic.Uint64))
			in.Layers[i].Entered = counts[i].Load
		}
	}
	s, _ := stackOf(layers, counts)
	in.Attempts = 1
	door := handlerDoor("Handler", s.Handler, abort)
	ends := door.Differs[contract.EndsDuring]
	door.Differs = map[contract.Row]contract.Difference{contract.EndsDuring: ends}
	in.Doors = []contract.Door{door}
	return in
}

// handlerInStack puts in what is different in a stack in the door of a server.
func handlerInStack(order []string, differs map[contract.Row]contract.Difference) {
	const why = "a server has no error to return: it answers, if there is somebody to be answered"
	differs[contract.ContextDone] = contract.Difference{Why: why, Instead: stackHandlerEnds}
	differs[contract.EndsQueued] = contract.Difference{Why: why, Instead: stackHandlerEndsQueued}
	differs[contract.UnmetQueued] = contract.Difference{Why: why, Instead: stackHandlerUnmet}
	if !slices.Contains(order, "bulkhead") {
		differs[contract.EndsQueued] = contract.Difference{Why: "there is no queue", Instead: noQueue}
		differs[contract.UnmetQueued] = contract.Difference{Why: "there is no queue", Instead: noQueue}
	}
	differs[contract.RefusedBelow] = contract.Difference{
		Why:     "what is refused below has been answered there: no other target is asked, and it is a failure of the group's only, that has found none",
		Instead: stackHandlerRefusedBelow,
	}
	delete(differs, contract.NilFunc)
}

// stackHandlerEnds: who has gone is not answered; whose time is up is told so. fn is not called.
func stackHandlerEnds(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Call(ctx, never(t)); err != errSilence {
		t.Errorf("cancelled: %v, want that nothing is written", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err := s.Call(ctx, never(t))
	comeBack(t, err, http.StatusServiceUnavailable)
	if b := s.Layers[0].Books(); b != (contract.Books{Ignored: 2}) {
		t.Errorf("books are %+v, want two ignored", b)
	}
	s.Settled()
}

// stackHandlerEndsQueued: who goes while queued is not answered; whose time is up there is told so.
func stackHandlerEndsQueued(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		empty, start := s.Fill(), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		if _, err := s.Call(ctx, never(t)); err != errSilence {
			t.Errorf("cancelled: %v, want that nothing is written", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := s.Call(contract.Unforeseen{Context: ctx}, never(t))
		comeBack(t, err, http.StatusServiceUnavailable)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("they returned after %v, want 10s each: when the context ended", took)
		}
		empty()
		s.Settled()
		s.Passes()
		s.Settled()
	})
}

// stackHandlerUnmet: a request that would not be done before its deadline is told so at once.
func stackHandlerUnmet(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		if _, err := s.Call(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil }); err != nil {
			t.Fatal(err)
		}
		empty, start := s.Fill(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := s.Call(ctx, never(t))
		comeBack(t, err, http.StatusServiceUnavailable)
		if took := time.Since(start); took != 0 {
			t.Errorf("it was answered after %v, want at once", took)
		}
		empty()
		s.Settled()
	})
}

// stackHandlerRefusedBelow: a bulkhead of the stack that is full, and one behind the whole stack.
func stackHandlerRefusedBelow(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		share := holdfast.MustStack(newBulkhead(t, contract.Setup{}, nil).Bulkhead)
		err := share.Run(t.Context(), func(context.Context) error { // it has one place
			_, err := s.Call(t.Context(), func(ctx context.Context) (int, error) {
				h := &handler{fn: never(t), fail: abort}
				return h.serve(ctx, share.Handler)
			})
			return err
		})
		comeBack(t, err, http.StatusServiceUnavailable)
		refusedAbove(t, s, len(s.Layers))
		s.Passes()

		queue := slices.IndexFunc(s.Layers, func(l contract.Layer) bool { return l.Fill != nil })
		if queue < 0 {
			return
		}
		s = c.Fresh(t, contract.Setup{})
		tokens, empty := tokensOf(s), s.Fill()
		_, err = s.Call(t.Context(), never(t))
		comeBack(t, err, http.StatusServiceUnavailable)
		refusedAbove(t, s, queue)
		if spent := tokens - tokensOf(s); spent != 0 {
			t.Errorf("%v tokens were spent on what was refused", spent)
		}
		empty()
		s.Settled()
		s.Passes()
		s.Settled()
	})
}

// refusedAbove checks what the layers above have made of a refusal.
func refusedAbove(t *testing.T, s *contract.Subject, above int) {
	t.Helper()
	for _, l := range s.Layers[:above] {
		want := l.Refusal
		if l.Fill != nil { // a bulkhead that does not look at answers
			want = contract.Books{Successes: 1}
		}
		if b := l.Books(); b != want {
			t.Errorf("%s: books are %+v, want %+v", l.Label, b, want)
		}
	}
}
