package holdfast

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/failure"
	"github.com/holdfast-go/holdfast/retry"
)

// Plan is a stack before it is made, for all fields to be changed first. What is nil is left out. The order is that of the
// fields, the outermost first.
type Plan struct {
	Name     string
	Retry    *retry.Config
	Hedge    *hedge.Config
	Breaker  *breaker.Config
	Bulkhead *bulkhead.Config

	// Reasons are why the numbers are as they are.
	Reasons []Reason
}

// Reason is why a number is what it is.
type Reason struct {
	Field  string // "Retry.MaxAttempts"
	Value  string // as fmt has it
	Why    string
	Source string // where it comes from; empty: it follows from the others
}

// Stack makes the plan a stack, or returns an error that names every field that cannot work.
func (p Plan) Stack() (*Stack, error) {
	var policies []Runner
	var errs []error
	if p.Retry != nil {
		made, err := retry.New(*p.Retry)
		policies, errs = append(policies, made), append(errs, err)
	}
	if p.Hedge != nil {
		made, err := hedge.New(*p.Hedge)
		policies, errs = append(policies, made), append(errs, err)
	}
	if p.Breaker != nil {
		made, err := breaker.New(*p.Breaker)
		policies, errs = append(policies, made), append(errs, err)
	}
	if p.Bulkhead != nil {
		made, err := bulkhead.New(*p.Bulkhead)
		policies, errs = append(policies, made), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s, err := NewStack(policies...)
	return s.Named(p.Name), err
}

// Reasons that several presets share.
var (
	whyThree = Reason{
		"Retry.MaxAttempts", "3", "where one call in ten fails, by itself, three attempts leave one in a thousand; more is seldom worth its load", "",
	}
	whyJitter = Reason{
		"Retry.BaseDelay", "100ms", "full jitter from here on up, so that clients do not come back together; doubled each time",
		"Brooker, Exponential Backoff And Jitter, AWS 2015",
	}
	whyRatio = Reason{
		"Breaker.FailureRatio", "0.5", "half of the calls failing is no accident, and retries still repair a tenth",
		"Hystrix's default, and Resilience4j's",
	}
	whyOpenFor = Reason{
		"Breaker.OpenFor", "5s", "about what a process takes to restart; it doubles by itself when it was too short",
		"Hystrix's default",
	}
)

// HTTPClient is a plan for calls of one HTTP service: [Stack.Transport] of it goes into an http.Client. What must not be repeated
// is not, by the method of the request.
func HTTPClient(name string) Plan {
	return Plan{
		Name:     name,
		Retry:    &retry.Config{Name: name, MaxAttempts: 3, BaseDelay: 100 * time.Millisecond, AttemptTimeout: 2 * time.Second, MaxElapsed: 10 * time.Second, Budget: budget()},
		Breaker:  &breaker.Config{Name: name, FailureRatio: 0.5, Window: 10 * time.Second, OpenFor: 5 * time.Second},
		Bulkhead: &bulkhead.Config{Name: name, Limit: 128, Queue: 128, MaxWait: time.Second},
		Reasons: []Reason{
			whyThree, whyJitter, whyRatio, whyOpenFor,
			{"Retry.AttemptTimeout", "2s", "well above the 99.9th percentile of most services, and three of them fit into what a person waits", "Nielsen, Usability Engineering 1993: ten seconds keep attention"},
			{"Retry.MaxElapsed", "10s", "nobody waits for longer", "Nielsen, as above"},
			{"Breaker.Window", "10s", "five times the attempt timeout, so that calls that time out are in it together", ""},
			{"Bulkhead.Limit", "128", "64 calls a second that each take the attempt timeout: what hangs takes no more than this", "Little 1961"},
			{"Bulkhead.Queue", "128", "as many again for a burst", ""},
			{"Bulkhead.MaxWait", "1s", "half of an attempt's time: who waits longer had better fail", ""},
		},
	}
}

// HTTPServer is a plan for [Stack.Handler]: the work that a server does at a time, found from its latency.
func HTTPServer(name string) Plan {
	return Plan{
		Name:     name,
		Bulkhead: &bulkhead.Config{Name: name, Adaptive: &bulkhead.Adaptive{Min: 4, Max: 1024}, Queue: 256, MaxWait: time.Second},
		Reasons: []Reason{
			{"Bulkhead.Adaptive.Min", "4", "below that a few slow requests would stop all", ""},
			{"Bulkhead.Adaptive.Max", "1024", "goroutines of that many requests, at 100 KB each, are 100 MB", ""},
			{"Bulkhead.Queue", "256", "a burst; what does not keep up is served newest first, and who waited too long is refused", "Maurer, Fail at Scale, ACM Queue 2015"},
			{"Bulkhead.MaxWait", "1s", "clients with an attempt timeout of 2s still get an answer in time", ""},
		},
	}
}

// Database is a plan for queries that may be repeated, through a pool of connections. Give the writes that may not be a plan
// without Retry.
func Database(name string) Plan {
	return Plan{
		Name:     name,
		Retry:    &retry.Config{Name: name, MaxAttempts: 3, BaseDelay: 20 * time.Millisecond, MaxDelay: time.Second, AttemptTimeout: 5 * time.Second, MaxElapsed: 15 * time.Second, Budget: budget()},
		Breaker:  &breaker.Config{Name: name, FailureRatio: 0.5, Window: 10 * time.Second, OpenFor: 5 * time.Second},
		Bulkhead: &bulkhead.Config{Name: name, Limit: 20, Queue: 100, MaxWait: 2 * time.Second},
		Reasons: []Reason{
			whyThree, whyRatio, whyOpenFor,
			{"Retry.BaseDelay", "20ms", "a deadlock or a serialization failure is over as soon as the other transaction is", ""},
			{"Retry.MaxDelay", "1s", "a failover of the database takes longer than any delay worth waiting for", ""},
			{"Retry.AttemptTimeout", "5s", "a query that takes longer needs an index, not patience", ""},
			{"Retry.MaxElapsed", "15s", "three attempts", ""},
			{"Breaker.Window", "10s", "twice the attempt timeout, the least that sees calls time out together", ""},
			{"Bulkhead.Limit", "20", "about (2 × cores + disks) of a server of eight cores: more connections make it slower. Set SetMaxOpenConns to the same", "PostgreSQL wiki, Number Of Database Connections"},
			{"Bulkhead.Queue", "100", "five for each connection: at 10 ms a query that is a wait of 50 ms", ""},
			{"Bulkhead.MaxWait", "2s", "below the attempt timeout: who cannot get a connection by then had better fail", ""},
		},
	}
}

// Queue is a plan for messages that are published or worked on, where nobody waits and none is to be lost: it is patient. An
// open breaker or a full bulkhead it asks again too, when they say, which costs no token of the budget.
func Queue(name string) Plan {
	return Plan{
		Name:     name,
		Retry:    &retry.Config{Name: name, MaxAttempts: 8, BaseDelay: 500 * time.Millisecond, MaxDelay: 30 * time.Second, AttemptTimeout: 10 * time.Second, RetryIf: patient, Budget: budget()},
		Breaker:  &breaker.Config{Name: name, FailureRatio: 0.5, Window: 30 * time.Second, OpenFor: 10 * time.Second},
		Bulkhead: &bulkhead.Config{Name: name, Limit: 32},
		Reasons: []Reason{
			whyRatio,
			{"Retry.MaxAttempts", "8", "with these delays about half a minute: a restart of the broker is over by then", ""},
			{"Retry.BaseDelay", "500ms", "nobody waits, so the broker is given time", ""},
			{"Retry.MaxDelay", "30s", "longer, and a message is older than most are worth", ""},
			{"Retry.AttemptTimeout", "10s", "an acknowledgement may wait for a disk in each of several places", ""},
			{"Breaker.Window", "30s", "three times the attempt timeout", ""},
			{"Breaker.OpenFor", "10s", "what waits here is in no hurry, and a broker that comes back has much to do", ""},
			{"Bulkhead.Limit", "32", "workers at a time; no queue, as the broker is one", ""},
		},
	}
}

// patient is a RetryIf that waits for what a policy below has refused, until that lets it pass.
func patient(err error) bool {
	return retry.Retryable(err) || failure.Refused(err) && !failure.Exhausted(err) && !errors.Is(err, context.Canceled)
}

// budget is the default one: retries are an eighth of the successes in the long run.
func budget() *retry.Budget { return retry.MustNewBudget(retry.BudgetConfig{}) }
