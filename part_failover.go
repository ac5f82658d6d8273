package holdfast

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/holdfast-go/holdfast/failover"
)

func failoverPart(d *document, stack string, data json.RawMessage) (part, error) {
	c := failover.Config[*url.URL]{Name: stack}
	fields, err := readFields(data)
	if err != nil {
		return part{}, err
	}
	targets, given := fields["targets"]
	delete(fields, "targets") // they have no JSON form of their own, as they may be anything
	rest, _ := json.Marshal(fields)
	var targetsErr error
	if given || d.setup.Failover == nil { // else they may be found by a Resolve
		c.Targets, targetsErr = readTargets(targets)
	}
	budget, err := d.read(rest, &c, "targets, budget")
	if err := errors.Join(targetsErr, err); err != nil {
		return part{}, err
	}
	if budget != nil {
		c.Budget = budget
	}
	if d.setup.Failover != nil {
		d.setup.Failover(stack, &c)
	}
	return partOf(c, c.Name, newOneOf, func(c *failover.Config[*url.URL]) {
		c.TracerProvider, c.MeterProvider, c.Logger = noTracing, noMetrics, nil
		if c.Probe != nil {
			c.Probe = func(context.Context, *url.URL) error { return nil }
		}
	}), nil
}

func newOneOf(c failover.Config[*url.URL]) (*oneOf[*url.URL], error) {
	g, err := failover.New(c)
	if err != nil {
		return nil, err
	}
	return &oneOf[*url.URL]{g}, nil
}

func readTargets(data json.RawMessage) (all []failover.Target[*url.URL], err error) {
	var entries []json.RawMessage
	if err := decode(data, &entries); err != nil || len(entries) == 0 {
		return nil, errors.New(`targets: want a list such as [{"name": "a", "url": "http://a:8080", "priority": 0, "weight": 1}]`)
	}
	var bad faults
	for i, entry := range entries {
		if bad.full() {
			break
		}
		t, err := readTarget(fmt.Sprintf("targets[%d]", i), entry)
		bad.add(err)
		all = append(all, t)
	}
	return all, bad.err()
}

func readTarget(at string, data json.RawMessage) (t failover.Target[*url.URL], err error) {
	var entry map[string]json.RawMessage
	if err := decode(data, &entry); err != nil || entry == nil {
		return t, fmt.Errorf("%s: %w", at, wanted(err, "want an object with a name and a url"))
	}
	if len(entry) > mostEntries {
		return t, fmt.Errorf("%s: want %d fields at the most, not %d", at, mostEntries, len(entry))
	}
	var errs []error
	var to string
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		into, want := any(nil), ""
		switch key {
		case "name":
			into, want = &t.Name, "a string"
		case "url":
			into, want = &to, "a string"
		case "priority":
			into, want = &t.Priority, "a whole number"
		case "weight":
			into, want = &t.Weight, "a number"
		default:
			errs = append(errs, fmt.Errorf("%s.%s: no such field: want one of name, url, priority, weight", at, place(key)))
			continue
		}
		if err := json.Unmarshal(entry[key], into); err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: want %s", at, key, want))
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, fmt.Errorf(`%s.url: %q: want a URL such as "http://a:8080"`, at, clipped(to)))
	}
	t.Value = u
	return t, errors.Join(errs...)
}
