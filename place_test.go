package holdfast_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
)

// A fault in what a field says is told by the place of that field in the document, beside faults in how others are written.
func TestLoadPlacesOfValues(t *testing.T) {
	for _, test := range []struct {
		document string
		want     []string
	}{
		{
			`{"stacks": {"a": [{"breaker": {"failure_ratio": 7}}]}}`,
			[]string{"stacks.a[0].breaker.failure_ratio: 7: want above 0 and at most 1, or below zero for never (default 0.5)"},
		},
		{
			`{"stacks": {"a": [{"breaker": {"open_for": "5 sec", "failure_ratio": 7, "min_cals": 3}}]}}`,
			[]string{
				`stacks.a[0].breaker.open_for: "5 sec": want a duration such as "5s"`,
				"stacks.a[0].breaker.min_cals: no such field: want one of ",
				"stacks.a[0].breaker.failure_ratio: 7: want above 0",
			},
		},
		{
			`{"stacks": {"a": [{"bulkhead": {"adaptive": {"max": -2}}}]}}`,
			[]string{"stacks.a[0].bulkhead.adaptive.max: -2: want"},
		},
		{ // the limit that cannot be read is not one that is missing
			`{"stacks": {"a": [{"bulkhead": {"limit": "many", "queue": -1}}]}}`,
			[]string{`stacks.a[0].bulkhead.limit: "many": want a whole number`, "stacks.a[0].bulkhead.queue: -1: want"},
		},
		{ // of what is missing, the name in Go
			`{"stacks": {"a": [{"bulkhead": {"queue": 3}}]}}`,
			[]string{"stacks.a[0].bulkhead: bulkhead.Config.Limit: 0: want"},
		},
		{
			`{"stacks": {"a": [{"failover": {"balance": "any", "max_tries": -1, "targets": [{"name": "x", "url": "http://x", "weight": -1}]}}]}}`,
			[]string{
				`stacks.a[0].failover.balance: "any": want`,
				"stacks.a[0].failover.max_tries: -1: want at least 1",
				"stacks.a[0].failover.targets[0].weight: -1: want above zero",
			},
		},
		{
			`{"budgets": {"b": {"ratio": -3}}, "stacks": {"a": [{"retry": {"budget": "c", "max_delay": "-1s"}}]}}`,
			[]string{"budgets.b.ratio: -3: want", `stacks.a[0].retry.budget: "c": no such budget: want one of b`, "stacks.a[0].retry.max_delay: -1s: want"},
		},
		{ // what an open_for that cannot be read allows is not known
			`{"stacks": {"a": [{"breaker": {"open_for": "500 ms", "max_open_for": "1s", "probes": -1}}]}}`,
			[]string{`stacks.a[0].breaker.open_for: "500 ms": want`, "stacks.a[0].breaker.probes: -1: want"},
		},
		{
			`{"stacks": {"a": [{"retry": {"base_delay": "10s", "max_dealy": "1m"}}, {"bulkhead": {"limit": 1, "burst": 5, "rate": "5/s"}}, {"bulkhead": {"limit": 0, "adaptive": {"min": "x"}}}]}}`,
			[]string{"stacks.a[0].retry.max_dealy: no such field", `stacks.a[1].bulkhead.rate: "5/s": want`, `stacks.a[2].bulkhead.adaptive.min: "x": want`},
		},
		{
			`{"stacks": {"a": [{"breaker": {"open_for": "5s", "max_open_for": "1s", "probes": "x"}}]}}`,
			[]string{`stacks.a[0].breaker.probes: "x": want`, "stacks.a[0].breaker.max_open_for: 1s: want at least OpenFor (5s)"},
		},
		{ // text may be like what a Config says of itself
			`{"stacks": {"a": [{"breaker": {"open_for": "x.Config.Y"}}]}}`,
			[]string{`stacks.a[0].breaker.open_for: "x.Config.Y": want`},
		},
	} {
		_, err := holdfast.Load([]byte(test.document))
		if err == nil {
			t.Errorf("%s: no error", test.document)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(test.want) {
			t.Errorf("%s:\n%v\nwant %d faults", test.document, err, len(test.want))
			continue
		}
		for _, want := range test.want {
			found := false
			for _, line := range lines {
				found = found || strings.HasPrefix(line, want)
			}
			if !found {
				t.Errorf("%s:\n%v\nwant\n%s", test.document, err, want)
			}
		}
	}
}

// What code has set is told by its name in Go, and by that alone.
func TestLoadPlacesOfWhatCodeSets(t *testing.T) {
	setup := holdfast.Setup{Breaker: func(_ string, c *breaker.Config) { c.FailureRatio = 7 }}
	_, err := setup.Load([]byte(`{"stacks": {"a": [{"breaker": {"min_calls": 3}}]}}`))
	if err == nil || !strings.HasPrefix(err.Error(), "stacks.a[0].breaker: breaker.Config.FailureRatio: 7: want") {
		t.Error(err)
	}
}

// Of what code would have set no fault comes either, where a document that cannot be read has not come to it.
func TestLoadPlacesBesideWhatCodeSets(t *testing.T) {
	setup := holdfast.Setup{Failover: func(_ string, c *failover.Config[*url.URL]) {
		c.Resolve = func(context.Context) ([]failover.Target[*url.URL], error) { return nil, nil }
	}}
	_, err := setup.Load([]byte(`{"stacks": {"a": [{"failover": {
		"targets": [{"name": "x", "url": "http://x"}], "resolve_every": "10s", "min_calls": "few"}}]}}`))
	if err == nil || err.Error() != `stacks.a[0].failover.min_calls: "few": want a whole number` {
		t.Error(err)
	}
}
