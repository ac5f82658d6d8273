// Package hedge calls again beside a call that takes long, and takes the first success: it cuts the tail off latencies,
// at the price of a few calls more.
//
//	var search = hedge.MustNew(hedge.Config{Name: "search", MaxExtraLoad: 0.05}) // at most 5 % more calls
//
//	hits, err := hedge.Do(ctx, search, func(ctx context.Context) (*Hits, error) {
//		return index.Search(ctx, query)
//	})
//
// An HTTP client gets it as a [Transport], which hedges what may be sent twice:
//
//	client := &http.Client{Transport: hedge.Transport(search, http.DefaultTransport)}
//
// # How it works
//
// When an attempt has not answered within a delay, another starts beside it; when one fails, the next starts at once. The
// first success wins, the others are cancelled (the cause of their context is [ErrLost]), and what they still return is
// discarded. A failure never wins while another attempt is under way.
//
// The delay is learned: the 95th percentile, say, of what first attempts took of late, those included that were cut short.
// MaxExtraLoad is a bound on the attempts beside the first, whatever the latency does; when calls become slow all together
// there are fewer of them, not more. (Dean and Barroso, The Tail at Scale, CACM 2013.)
//
// # Where it goes
//
// Around work that may be done twice at once, with nothing shared but what is safe to share: each attempt returns a value of
// its own. Outside of the breaker and the bulkhead, so that each attempt is counted and has a place: a lost one counts against
// nobody. Around a failover, so that the second attempt asks another target.
//
// # When not to use it
//
// Where the work has effects that show twice; where all attempts meet in one queue, lock or connection that is what is slow;
// where calls are slow because there are too many of them.
//
// # What goes wrong otherwise
//
// A hedge without a bound doubles the load of a dependency just when it is slow. One that takes the first answer, a failure
// too, makes a fast failure beat a slow success. One that forgets the losers leaks their bodies, rows and goroutines.
package hedge
