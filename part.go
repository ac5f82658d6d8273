package holdfast

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// part is a policy of a document, of which none has been made yet.
type part struct {
	at     string // its place
	kind   string
	name   string // of the policy
	fields given  // as they stand there

	make   func() (Runner, error)
	try    func() (Runner, error) // is make, and nobody sees what it makes
	change func(Runner) error     // gives one that was made before the settings of this one
}

// partReader reads the JSON of a Config for a stack.
type partReader func(d *document, stack string, data json.RawMessage) (part, error)

var partReaders = map[string]partReader{
	"retry":    retryPart,
	"breaker":  breakerPart,
	"bulkhead": bulkheadPart,
	"hedge":    hedgePart,
	"failover": failoverPart,
}

func kinds() string { return strings.Join(slices.Sorted(maps.Keys(partReaders)), ", ") }

func (d *document) part(at, stack string, data json.RawMessage) (part, error) {
	var entry map[string]json.RawMessage
	err := decode(data, &entry)
	if err != nil || len(entry) != 1 {
		return part{}, fmt.Errorf("%s: %w", at, wanted(err, "want an object with one policy: "+kinds()))
	}
	for kind, config := range entry {
		read, known := partReaders[kind]
		if !known {
			return part{}, fmt.Errorf("%s.%s: no such policy: want one of %s", at, place(kind), kinds())
		}
		at += "." + kind
		p, err := read(d, stack, config)
		if err != nil {
			return part{}, errors.Join(under(at, err), d.restOf(at, stack, read, config, err))
		}
		p.at, p.kind = at, kind
		p.fields, _ = readFields(config)
		return p, nil
	}
	return part{}, nil // there is one
}

// restOf returns the faults in what those fields say of which err does not tell that they cannot be read. No Setup is asked: it
// would be told half of what the document says.
func (d *document) restOf(at, stack string, read partReader, config json.RawMessage, err error) error {
	fields, unreadable := readFields(config)
	rest := fields.without(err)
	if unreadable != nil || len(rest) == 0 || len(rest) == len(fields) {
		return nil
	}
	data, _ := json.Marshal(rest)
	alone := *d
	alone.setup = Setup{}
	p, err := read(&alone, stack, data)
	if err != nil {
		return nil
	}
	p.at, p.fields = at, rest
	x := &draft{at: at, parts: []part{p}}
	if err = x.try(); err == nil {
		return nil
	}
	var told faults
	for line := range strings.SplitSeq(err.Error(), "\n") {
		// Of a field that is there, not of one that is missing now; nor by one that is, as it may then be no fault.
		if strings.HasPrefix(line, at+".") && !slices.ContainsFunc(namedIn(line), func(key string) bool { return rest[key] == nil }) {
			told.add(errors.New(line))
		}
	}
	return told.err()
}

// policy is a Runner whose settings may change.
type policy[C any] interface {
	Runner
	Reconfigure(C) error
}

// partOf is a part whose Config is c. unseen makes a Config of which no telemetry is to be seen.
func partOf[P policy[C], C any](c C, name string, build func(C) (P, error), unseen func(*C)) part {
	of := func(c C) (Runner, error) {
		p, err := build(c)
		if err != nil {
			return nil, err // not a Runner that is a nil policy
		}
		return p, nil
	}
	return part{
		name: name,
		make: func() (Runner, error) { return of(c) },
		try: func() (Runner, error) {
			c := c
			unseen(&c)
			return of(c)
		},
		change: func(r Runner) error { return r.(P).Reconfigure(c) },
	}
}

var (
	noTracing = tracenoop.NewTracerProvider()
	noMetrics = metricnoop.NewMeterProvider()
)

func retryPart(d *document, stack string, data json.RawMessage) (part, error) {
	c := retry.Config{Name: stack}
	budget, err := d.read(data, &c, "budget")
	if err != nil {
		return part{}, err
	}
	c.Budget = budget
	if d.setup.Retry != nil {
		d.setup.Retry(stack, &c)
	}
	return partOf(c, c.Name, retry.New, func(c *retry.Config) {
		c.TracerProvider, c.MeterProvider, c.Logger = noTracing, noMetrics, nil
	}), nil
}

func breakerPart(d *document, stack string, data json.RawMessage) (part, error) {
	c := breaker.Config{Name: stack}
	if err := read(data, &c); err != nil {
		return part{}, err
	}
	if d.setup.Breaker != nil {
		d.setup.Breaker(stack, &c)
	}
	return partOf(c, c.Name, breaker.New, func(c *breaker.Config) {
		c.TracerProvider, c.MeterProvider, c.Logger = noTracing, noMetrics, nil
	}), nil
}

func bulkheadPart(d *document, stack string, data json.RawMessage) (part, error) {
	c := bulkhead.Config{Name: stack}
	if err := read(data, &c); err != nil {
		return part{}, err
	}
	if d.setup.Bulkhead != nil {
		d.setup.Bulkhead(stack, &c)
	}
	return partOf(c, c.Name, bulkhead.New, func(c *bulkhead.Config) {
		c.TracerProvider, c.MeterProvider, c.Logger = noTracing, noMetrics, nil
	}), nil
}

func hedgePart(d *document, stack string, data json.RawMessage) (part, error) {
	c := hedge.Config{Name: stack}
	budget, err := d.read(data, &c, "budget")
	if err != nil {
		return part{}, err
	}
	if budget != nil {
		c.Budget = budget
	}
	if d.setup.Hedge != nil {
		d.setup.Hedge(stack, &c)
	}
	return partOf(c, c.Name, hedge.New, func(c *hedge.Config) {
		c.TracerProvider, c.MeterProvider, c.Logger = noTracing, noMetrics, nil
	}), nil
}

// read is the function of that name for a Config that may name a budget. also are the fields that the Config does not know.
func (d *document) read(data json.RawMessage, into json.Unmarshaler, also string) (*retry.Budget, error) {
	fields, err := readFields(data)
	if err != nil {
		return nil, err
	}
	named, given := fields["budget"]
	delete(fields, "budget")
	rest, _ := json.Marshal(fields) // of what was JSON
	err = into.UnmarshalJSON(rest)
	if err != nil { // of the fields that there are, it knows only its own
		err = errors.New(strings.ReplaceAll(err.Error(), ": want one of name, ", ": want one of name, "+also+", "))
	}
	if !given {
		return nil, err
	}
	budget, budgetErr := d.budget(named)
	return budget, errors.Join(err, budgetErr)
}

// budget is the one of that name.
func (d *document) budget(data json.RawMessage) (*retry.Budget, error) {
	var name *string
	if err := json.Unmarshal(data, &name); err != nil || name == nil {
		return nil, errors.New("budget: want the name of one of the budgets")
	}
	if _, known := d.budgets[*name]; !known {
		want := "want one of the budgets, of which there are none"
		if len(d.budgets) > 0 {
			names := slices.Sorted(maps.Keys(d.budgets))
			for i := range names {
				names[i] = place(names[i])
			}
			want = "want one of " + strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("budget: %q: no such budget: %s", clipped(*name), want)
	}
	return d.shared[*name], nil
}
