// Package latency has the recent latencies of one kind of call, for hedging: after how long is a call slower than nineteen
// in twenty of those of the last half minute?
//
//	t := latency.NewTracker(30*time.Second, 0.95, 20)
//	…
//	delay, ok := t.Value() // before a call: an atomic load
//	…
//	t.Record(now, took) // after it: 10 to 20 ns, no lock, no allocation
//
// How it works:
//
//   - A latency is counted in a bucket no wider than 1/32 of it (bucket.go). A quantile is the upper end of a bucket: by up
//     to 3.1 % too long, and never too short. So no more calls than asked for are above it, even where all take equally
//     long, and this holds when the delay of a hedge is set by it.
//   - The span is cut into four parts (window.go), and the oldest is dropped when a new one begins: the window has the last
//     three quarters of its span, up to all of it. Time is what the callers say. It goes on when somebody records, or
//     calls Advance: in a time without calls the window keeps what it has, and the first that comes after drops what is
//     too old by then.
//   - Counts are atomics. Where cores meet in an octave of a part, it gets a set of counts for each of eight stripes of
//     goroutines (part.go).
//   - A quantile is a scan over all counts, so a [Tracker] does it once in a while, and keeps the value (tracker.go).
//
// # Races
//
// A part is never cleared and used again. When its time has come it is left to the garbage collector, and a new one is
// made: once in a quarter of the span, and only if there are calls. So nobody can write into the wrong time. Each sample
// is counted once, in the part that was the newest when its Record looked. A goroutine that is held up between looking
// and adding adds to that part later: if the part is still in the window the sample counts there, with its age; if not,
// the sample is lost. One that gives a time from before the newest part adds to the newest, and so its sample
// stays for a little longer than it should. One that looks while another begins a part may land in either.
//
// Quantile, Above and Count see all that was recorded before they began, and any of what is recorded meanwhile.
//
// # Memory
//
// Parts, and octaves in them, are made when there is something to count in them. Until then a Window takes 16 bytes, a
// Tracker 72 (on 64 bits). A part takes 320, and 144 for each octave that occurs: with the four to eight octaves of most
// kinds of calls that is 3.5 to 6 KB for all four parts, and no window takes more than 25. Stripes take 1 KB for an octave
// of a part, and only where cores have met 32 times within it: up to 20 KB more for a kind of call that several cores make
// hundreds of thousands of times a second. A new part is one to ten allocations, once in a quarter of the span.
package latency
