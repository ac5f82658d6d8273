package main

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// place is where a fault is.
type place string

const (
	client  place = "client"  // in the client's transport, under all policies
	server  place = "server"  // in the server's handler
	network place = "network" // in the bytes of the connections
)

// fault is one thing that goes wrong. Its Rate is drawn for each combination.
type fault struct {
	name  string
	at    place
	chaos chaos.Fault // Kind 0: nothing goes wrong
}

// spoils reports whether an answer that looks good may have anything in it.
func (f *fault) spoils() bool { return f.chaos.Kind == chaos.Corrupt }

// deaf is how long a call may be held that heeds no context and has no hedge around it to leave it: all other policies run
// the call in their caller's goroutine, and so does a hedge what it must not repeat.
func (f *fault) deaf() time.Duration {
	if f.at == client && f.chaos.Kind == chaos.Deaf && f.chaos.When == nil {
		return f.chaos.Delay.Median
	}
	return 0
}

const (
	long  = 15 * time.Millisecond  // longer than hedges wait, shorter than all deadlines
	silly = 150 * time.Millisecond // longer than most deadlines
	few   = 40                     // bytes
	some  = 300                    // bytes: in the second message of a connection, or the third
	slow  = 2000                   // bytes a second

	endless = patience // longer than any call may be late
)

// canLeave is for faults that are far too long for who has to wait for their end.
func canLeave(ctx context.Context) bool {
	c, ok := ctx.Value(callKey{}).(*call)
	return ok && c.hedged()
}

// faults are all that chaos can do. Of the kinds that come in several forms, each form.
var faults = []fault{
	{name: "none"},

	{"error", client, chaos.Fault{Kind: chaos.Failure}},
	{"error-retry-after", client, chaos.Fault{Kind: chaos.Failure, RetryAfter: chaos.AnyRetryAfter}},
	{"latency", client, chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: long}}},
	{"latency-log-normal", client, chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: 3 * time.Millisecond, Sigma: 1}}},
	{"latency-bimodal", client, chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Millisecond, Slow: silly, SlowShare: 0.3}}},
	{"black-hole", client, chaos.Fault{Kind: chaos.BlackHole}},
	{"deaf", client, chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: silly}}},
	{"deaf-long", client, chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: endless}, When: canLeave}},
	{"panic", client, chaos.Fault{Kind: chaos.Panic, Panic: injected}},
	{"status-500", client, chaos.Fault{Kind: chaos.Status, Status: 500, Body: "sorry"}},
	{"status-503-retry-after", client, chaos.Fault{Kind: chaos.Status, RetryAfter: chaos.AnyRetryAfter}},
	{"status-429-retry-after", client, chaos.Fault{Kind: chaos.Status, Status: 429, RetryAfter: chaos.AnyRetryAfter, Body: "later"}},
	{"wrong-body", client, chaos.Fault{Kind: chaos.Corrupt, Body: "<html>It works!</html>"}},
	{"corrupt", client, chaos.Fault{Kind: chaos.Corrupt}},
	{"truncate", client, chaos.Fault{Kind: chaos.Truncate, Bytes: few}},
	{"reset", client, chaos.Fault{Kind: chaos.Reset}},
	{"reset-in-body", client, chaos.Fault{Kind: chaos.Reset, Bytes: few}},
	{"lost-answer", client, chaos.Fault{Kind: chaos.Reset, After: true}},
	{"slow", client, chaos.Fault{Kind: chaos.Slow, BytesPerSecond: slow}},

	{"error", server, chaos.Fault{Kind: chaos.Failure}},
	{"latency", server, chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: long, Sigma: 0.5}}},
	{"black-hole", server, chaos.Fault{Kind: chaos.BlackHole}},
	{"deaf", server, chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: silly}}},
	{"panic", server, chaos.Fault{Kind: chaos.Panic, Panic: injected}},
	{"status-retry-after", server, chaos.Fault{Kind: chaos.Status, RetryAfter: chaos.AnyRetryAfter, Body: "sorry"}},
	{"wrong-body", server, chaos.Fault{Kind: chaos.Corrupt, Body: "<html>It works!</html>"}},
	{"corrupt", server, chaos.Fault{Kind: chaos.Corrupt}},
	{"truncate", server, chaos.Fault{Kind: chaos.Truncate, Bytes: few}},
	{"reset", server, chaos.Fault{Kind: chaos.Reset}},
	{"reset-in-body", server, chaos.Fault{Kind: chaos.Reset, Bytes: few}},
	{"slow", server, chaos.Fault{Kind: chaos.Slow, BytesPerSecond: slow}},

	{"error", network, chaos.Fault{Kind: chaos.Failure}},
	{"latency", network, chaos.Fault{Kind: chaos.Latency, Delay: chaos.Delay{Median: long}}},
	{"black-hole", network, chaos.Fault{Kind: chaos.BlackHole}},
	{"deaf", network, chaos.Fault{Kind: chaos.Deaf, Delay: chaos.Delay{Median: silly}}},
	{"corrupt", network, chaos.Fault{Kind: chaos.Corrupt}},
	{"truncate", network, chaos.Fault{Kind: chaos.Truncate, Bytes: some}},
	{"reset", network, chaos.Fault{Kind: chaos.Reset, Bytes: some}},
	{"slow", network, chaos.Fault{Kind: chaos.Slow, BytesPerSecond: 5 * slow}},
}

// String is the name that reports and -only have for it.
func (f *fault) String() string {
	if f.at == "" {
		return f.name
	}
	return string(f.at) + "-" + f.name
}

func faultNames() (names []string) {
	for i := range faults {
		names = append(names, faults[i].String())
	}
	return names
}

// injected is what panics of chaos have for a value. Any other panic is a fault of somebody else's.
var injected any = &injectedPanic{}

type injectedPanic struct{ _ byte } // not of size zero: it has an address of its own

func (*injectedPanic) Error() string { return injectedText }

const injectedText = "soak: a panic on purpose"
