package main

// What is missed, and why, by the job: from profiles of the job alone on a core (go test -cpuprofile). It is written by hand,
// and holds for what was measured then.

var whyNotFirst = map[string]string{
	"Retry/success":      "The others call the function and return; retry-go looks at the context first. Holdfast does too, counts the call (a third of its time), and asks whether an SDK is installed (a quarter).",
	"Breaker/open":       "go-resiliency loads its state and returns a fixed error; a goroutine that sleeps ends its cool-down. Holdfast looks at the context, counts the refusal, which is a third, and asks for an SDK; its error says when to come back.",
	"Bulkhead/try":       "failsafe-go tries to send on a channel, and says no. Holdfast counts the refusal too, and its error says why.",
	"Timeout/asked":      "The peers cancel the context of an attempt that succeeded. Holdfast does not, because what it returned may still be read under it: a body, rows, a stream. So that context goes on following the caller's, and nobody knows who still waits for its channel: it is kept until a garbage collection has shown that nobody does, which takes a weak pointer for each, made in the background, and a longer life for the channel; a fifth of the time. Under a context that ends before the next collection, as a request's does, that is not needed. In a Transport the context ends with the body instead: what that costs where Done is asked for is under GET over loopback, with a time limit, as the stub of the HTTP jobs does not ask.",
	"Bulkhead/contended": "A goroutine that is parked and made ready again is most of it, and the same on both sides. A quarter of the difference are two looks at the clock, when a call joins the queue and when it is answered: the queue's controlled delay, MaxWait and the metric of waits go by them. The rest is spread: priorities, the deadline of who waits, the histogram of waits. With very many that wait, each stack holds more frames than the semaphore's.",
	"Rate/free":          "The same limiter, and the semaphore's part is faster. But holdfast's lock is around the look at the clock as well, because a limiter that is told an earlier time after a later one counts the time between twice; the peer's is not. Two locks and the clock are half of the time.",
}

var whyAllocates = map[string]string{}

var whyDrops = map[string]string{
	"": "Seven tenths of what is added is the SDK's own Start of the call's span (a span, a context, and the attributes that a sampler may want: 3 of the 4 allocations). The rest are the looks of three policies at what is installed, and at whether the span above them records.",
}

var whyOverBare = map[string]string{
	"": "Over a stub that answers with a body the stack adds 0.2 µs, because the place is held until that is closed. Right after a request over a connection the same stack over the same stub adds nearly twice that, as caches then hold other things (see the last table there), and in a request it is interrupted by system calls in the middle too. 3 % of such a request is half a microsecond with one client, and less than 0.7 with two. Over a network 3 % is several times as much.",
}

const (
	// meet is said of jobs in which cores meet on purpose.
	meet     = "Cores meet there on purpose: "
	switches = "Two goroutines for each call. The one that waits lets the attempt run first (runtime.Gosched), which on most calls saves a timer and a wake-up, and goes through the scheduler's queue that all cores share. The floor, a goroutine and a channel, has part of it."
	garbage  = "What allocates shares the collector and the heap: two cores make twice the garbage, and with a larger heap (GOGC=800) this comes down."
)

var whyNotAlone = map[string]string{
	"Rate/free":                  meet + "one bucket of tokens, under a lock. The floor, a lock around a look at the clock, shows the same.",
	"Bulkhead/contended":         meet + "one place. The time is from one call to the next: on two cores who is next may be on the other one, and to wake it takes longer than a switch on the same.",
	"Failover/call-least_loaded": meet + "who compares loads has to see what other cores have under way, so each call counts itself in and out at its target. The floor, one counter, is several times slower on two cores.",
	"Failover/pick-least_loaded": "As for call-least_loaded.",
	"Failover/call-peak_ewma":    "As for call-least_loaded.",
	"Failover/pick-peak_ewma":    "As for call-least_loaded.",
	"Hedge/quiet":                switches,
	"Hedge/learned":              switches,
	"Hedge/fires":                switches,
	"HTTP/hedge":                 switches,
	"Timeout/asked":              garbage + " What the collector has found is swept in a goroutine of the runtime, beside the calls.",
	"Timeout/unasked":            garbage,
	"HTTP/retry":                 garbage + " Here that is the stub.",
	"HTTP/stack":                 garbage + " Here that is the stub.",
	"HTTP/stack-timeout":         garbage + " A quarter of the time is net/http's copy of the request for the attempt's context.",
	"Retry/failures":             garbage,
	"Stack/timeout":              garbage,
	"Failover/first":             garbage,
}

// boundedBy says what bounds each group of jobs now, from the same profiles.
var boundedBy = []struct{ group, text string }{
	{"Retry", "A success: the count of it, one atomic add on the core's own cache line, is a third; whether an SDK is installed, two comparisons of interfaces, is a quarter; the rest are the calls, and a deferred function that sees a panic."},
	{"Breaker", "Closed: one look at the clock, when the call ends, is two fifths; the add to the window a fifth; the question for an SDK a seventh. Open: the count of the refusal is a third."},
	{"Bulkhead", "Free: two compare-and-swaps, on a cache line that is most likely the core's own, are two fifths. Adaptive: two looks at the clock are two fifths, what is recorded of the latency a fifth."},
	{"Rate", "Two locks, as the limiter has its own, and the clock."},
	{"Timeout", "Unasked: the clock is two fifths, once for the limit and once for Err; the context's one allocation a sixth, letting it go another. Asked: the clock and the timer are a third, what is allocated a fifth."},
	{"Hedge", "A goroutine for the attempt, without which a hedge could not overtake it: to start it, to switch to it and back is half of the time."},
	{"Failover", "Two looks at the clock are two fifths: without the latency there would be no slow outliers. Counts of the call are a fifth."},
	{"Stack", "The sum of its parts."},
	{"HTTP", "Without a time limit the stub itself is the largest part. With one, a quarter is the copy of the request (net/http's WithContext), and a third in all the allocator."},
	{"SDK", "The SDK: the start of a span, its attributes, the histogram."},
}
