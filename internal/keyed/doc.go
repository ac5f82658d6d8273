// Package keyed is a bounded map from keys to values, for one policy a key: a breaker for each host, a bulkhead for each
// tenant. The keys come from outside, so the map must keep its bound whatever they are; and nearly every lookup finds
// its key, so that must cost little, on every core at once.
//
//	m := keyed.New(keyed.Config[string, *Breaker]{MaxKeys: 1000, IdleAfter: time.Hour, New: newBreaker})
//	b := m.Get(req.URL.Host)
//
// How it works:
//
//   - A lookup that finds its key takes no lock (table.go). It writes one word, the time, into the entry it found. What
//     all lookups share they only read (stamp.go).
//   - All changes are made under one mutex, none of the user's functions is called under it (make.go).
//   - The order of eviction is a heap over the times as they were when last looked at. A lookup does not touch it; who
//     wants the least recently used one corrects it then (order.go).
//
// The order is exactly that of the lookups, as seen by one goroutine. Among several, lookups that overlap count in any
// order, and one that overlaps with an eviction may return the value that is leaving.
//
// A key that is not equal to itself (a NaN, or a struct with one in it) cannot be found again. Get makes a value for it
// each time, hands it to Evicted at once, and keeps nothing. A key of an interface type that holds something without
// an equality panics, as in a Go map.
package keyed
