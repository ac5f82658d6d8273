// Package contract is the conformance suite of the policies: what each of them keeps, in each of its doors, by itself
// and in a stack. It is test code, imported by tests only.
//
// Its words: a row is one situation and what happens in it. A door is one way into a policy: Do, Wrap, Run, a
// primitive, Transport. A cell is a row in a door. Where a cell differs from the row, it is documented in a
// [Difference], which says why and has the check of what happens instead; go test -v prints it.
//
// A policy takes part by a [Policy]: a constructor that makes a fresh instance to a [Setup], and an adapter for each door.
//
//	contract.Run(t, contract.Policy{
//		Name: "bulkhead",
//		New: func(t testing.TB, s contract.Setup) *contract.Instance {
//			b := bulkhead.MustNew(bulkhead.Config{Name: "jobs", Limit: 1})
//			return &contract.Instance{
//				Doors:  doors(b),
//				Layers: []contract.Layer{{Label: "bulkhead jobs", Books: books(b), Places: func() int { return b.Snapshot().InUse }}},
//			}
//		},
//		Nil: func() []contract.Door { return doors(nil) },
//	})
//
// After every row, whatever it is about, the books must balance: calls = successes + failures + ignored + refused in
// each layer, where the calls are counted by the suite, and every HTTP body that was opened must have been closed.
package contract
