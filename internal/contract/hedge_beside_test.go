package contract_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// besides are the rows whose fn may run several times at once.
var besides = []contract.Row{
	contract.ContextDone, contract.EndsDuring, contract.LeavesNothing, contract.Thousand,
	contract.HTTPBodies, contract.HTTPNothingLeft,
}

// The same while hedges really happen: all attempts start at once, or one soon after the other. There is no telling then how
// many there are, nor which of them wins; but all that is taken comes back, and each call is in the books of the layers
// above, once.
func TestHedgesBeside(t *testing.T) {
	delays := map[string]time.Duration{"at once": -1, "after a microsecond": time.Microsecond}
	stacks := [][]string{
		{"hedge"},
		{"hedge", "retry", "breaker", "bulkhead"},
		{"retry", "hedge", "breaker", "bulkhead"},
		{"bulkhead", "breaker", "retry", "hedge"},
		{"hedge", "hedge"},
	}
	for name, delay := range delays {
		for _, order := range stacks {
			p := stackPolicy(order, false)
			p.Brief, p.Only = len(order) > 1, besides
			p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
				layers := layersOf(t, order, s, false)
				for i, kind := range order {
					if kind == "hedge" {
						layers[i] = hedgeAsLayer(newHedge(t, s, func(c *hedge.Config) { c.Delay = delay }))
					}
				}
				return stack(layers)
			}
			t.Run(p.Name+", "+name, func(t *testing.T) { contract.Run(t, p) })
		}
	}
}
