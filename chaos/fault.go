package chaos

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Fault is one thing that goes wrong: what, how often, when, and for whom. Kind and Rate are required.
type Fault struct {
	// Name is what spans and Snapshot call it. Default: the Kind's word.
	Name string

	Kind Kind

	// Rate is the share of the calls it is meant for that it strikes: above 0, up to 1.
	Rate float64

	Schedule Schedule

	// After lets the call be made, and takes away its result: the work is done, the answer is lost. That is what shows whether
	// something may be repeated. Do then returns fn's value with the fault's error. Not of bodies (Reset with Bytes, Truncate,
	// Corrupt, Slow); in a Handler and on connections it changes nothing.
	After bool

	Delay      Delay  // of Latency and Deaf, which need it
	Err        error  // of Failure: returned as it is. Default: an [*Error]
	Panic      any    // of Panic: the value. Default: an [*Error]
	Status     int    // of Status: 200 to 999. Default 503
	RetryAfter string // of Status, and Failure: the header's value, see also [AnyRetryAfter]. Default: none
	Body       string // of Status and Corrupt: the body

	Bytes          int64 // of Reset, Truncate and Corrupt: see there
	BytesPerSecond int64 // of Slow, which needs it

	// When, WhenRequest and WhenConn say for whom the fault is, by the context, the request of a Transport or a Handler, and
	// the connection. Default: for all. One that has When or WhenRequest is for no connection, one with WhenRequest for nothing
	// but requests, one with WhenConn for nothing but connections. They run for each call while chaos is on, in its goroutine.
	When        func(context.Context) bool
	WhenRequest func(*http.Request) bool
	WhenConn    func(net.Conn) bool
}

// check reports every field that cannot work, and those that the Kind has no use for.
func (f *Fault) check(fs *conf.Faults, at string) {
	fs.Want(f.Rate > 0 && f.Rate <= 1, at+"Rate", f.Rate, "above 0 and at most 1")
	f.Schedule.check(fs, at)
	if !f.Kind.valid() {
		fs.Want(false, at+"Kind", uint8(f.Kind), "Failure, Latency, BlackHole, Deaf, Panic, Status, Reset, Truncate, Corrupt or Slow")
		return
	}
	unused := func(zero bool, field string, value any, used bool) {
		fs.Want(zero || used, at+field, value, "none, for "+f.Kind.String()+" has no use for it")
	}
	k := f.Kind
	if k.in(Latency, Deaf) {
		f.Delay.check(fs, at)
	} else {
		unused(f.Delay == Delay{}, "Delay", f.Delay, false)
	}
	unused(!f.After, "After", f.After, k.in(Failure, Latency, BlackHole, Deaf, Panic, Status) || k == Reset && f.Bytes == 0)
	unused(f.Err == nil, "Err", f.Err, k == Failure)
	unused(f.Panic == nil, "Panic", "a value", k == Panic)
	unused(f.Status == 0, "Status", f.Status, k == Status)
	fs.Want(k != Status || f.Status == 0 || f.Status >= 200 && f.Status <= 999, at+"Status", f.Status, "200 to 999 (default 503)")
	unused(f.RetryAfter == "", "RetryAfter", f.RetryAfter, k == Status || k == Failure && f.Err == nil)
	unused(f.Body == "", "Body", f.Body, k.in(Status, Corrupt))
	unused(f.Bytes == 0, "Bytes", f.Bytes, k.in(Reset, Truncate) || k == Corrupt && f.Body == "")
	fs.Want(f.Bytes >= 0, at+"Bytes", f.Bytes, "at least 0")
	unused(f.BytesPerSecond == 0, "BytesPerSecond", f.BytesPerSecond, k == Slow)
	fs.Want(k != Slow || f.BytesPerSecond >= 1, at+"BytesPerSecond", f.BytesPerSecond, "at least 1")
	fs.Want(f.WhenConn == nil || f.When == nil && f.WhenRequest == nil, at+"WhenConn", "a func", "none beside When and WhenRequest: a connection has no context")
}

// ofBody reports whether the fault is one of the body, not of the call as a whole.
func (f *Fault) ofBody() bool {
	return f.Kind.in(Truncate, Corrupt, Slow) || f.Kind == Reset && f.Bytes > 0
}

// forCall reports whether the fault is for a call that has this context and, in HTTP, this request.
func (f *Fault) forCall(ctx context.Context, r *http.Request) bool {
	if f.WhenConn != nil || f.WhenRequest != nil && r == nil {
		return false
	}
	return (f.When == nil || f.When(ctx)) && (f.WhenRequest == nil || f.WhenRequest(r))
}

func (f *Fault) forConn(c net.Conn) bool {
	return f.When == nil && f.WhenRequest == nil && !f.Kind.in(Panic, Status) && (f.WhenConn == nil || f.WhenConn(c))
}

// UnmarshalJSON reads {"kind": "latency", "rate": 0.1, "delay": {"median": "50ms"}, "schedule": {"from": "1m"}} and so on: the
// fields that have a JSON form under their names in snake case.
func (f *Fault) UnmarshalJSON(data []byte) error {
	read, kind := *f, ""
	if err := read.fields(&kind).Unmarshal(data); err != nil {
		return err
	}
	if kind != "" {
		if err := read.Kind.UnmarshalText([]byte(kind)); err != nil {
			return fmt.Errorf("kind: %w", err)
		}
	}
	*f = read
	return nil
}

// MarshalJSON writes the fields that have a JSON form and are not zero.
func (f Fault) MarshalJSON() ([]byte, error) {
	kind := ""
	if f.Kind != 0 {
		kind = f.Kind.String()
	}
	return f.fields(&kind).Marshal()
}

func (f *Fault) fields(kind *string) conf.Fields {
	return conf.Fields{
		{Key: "name", To: &f.Name},
		{Key: "kind", To: kind},
		{Key: "rate", To: &f.Rate},
		{Key: "schedule", To: &f.Schedule},
		{Key: "after", To: &f.After},
		{Key: "delay", To: &f.Delay},
		{Key: "status", To: &f.Status},
		{Key: "retry_after", To: &f.RetryAfter},
		{Key: "body", To: &f.Body},
		{Key: "bytes", To: &f.Bytes},
		{Key: "bytes_per_second", To: &f.BytesPerSecond},
	}
}
