package holdfast_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// documents are the JSON documents in docs/stacks.md.
func documents(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("docs/stacks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, found[1])
	}
	if len(all) != 2 {
		t.Fatalf("%d documents, want 2", len(all))
	}
	return all
}

// What docs/stacks.md shows can be loaded, has all the fields that there are, and the defaults are those of the code.
func TestDocumentedFields(t *testing.T) {
	for _, document := range documents(t) {
		if _, err := holdfast.Load([]byte(document)); err != nil {
			t.Error(err)
		}
	}
	var all struct {
		Budgets map[string]map[string]any
		Stacks  map[string][]map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(documents(t)[1]), &all); err != nil {
		t.Fatal(err)
	}
	for _, policy := range all.Stacks["every-field"] {
		for kind, shown := range policy {
			if kind == "bulkhead" {
				shown["adaptive"] = all.Stacks["adaptive"][0][kind]["adaptive"]
				same(t, "bulkhead.adaptive", shown["adaptive"].(map[string]any), known(t, `{"stacks": {"a": [{"bulkhead": {"adaptive": {"zz": 1}}}]}}`))
			}
			same(t, kind, shown, known(t, `{"stacks": {"a": [{"`+kind+`": {"zz": 1}}]}}`))
		}
	}
	same(t, "budget", all.Budgets["all"], known(t, `{"budgets": {"a": {"zz": 1}}, "stacks": {}}`))
}

// known are the fields that an error about an unknown one names.
func known(t *testing.T, document string) []string {
	t.Helper()
	_, err := holdfast.Load([]byte(document))
	if err == nil {
		t.Fatal("no error")
	}
	_, list, _ := strings.Cut(err.Error(), `zz: no such field: want one of `)
	list, _, _ = strings.Cut(list, "\n")
	return strings.Split(list, ", ")
}

func same(t *testing.T, what string, shown map[string]any, want []string) {
	t.Helper()
	if len(shown) != len(want) {
		t.Errorf("%s: docs/stacks.md has %d fields, the code %d", what, len(shown), len(want))
	}
	for _, field := range want {
		if _, is := shown[field]; !is {
			t.Errorf("%s: docs/stacks.md lacks %s", what, field)
		}
	}
}

// A policy with all its defaults written out is the same as one with none.
func TestDocumentedDefaults(t *testing.T) {
	var all struct {
		Budgets map[string]json.RawMessage
		Stacks  map[string][]map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(documents(t)[1]), &all); err != nil {
		t.Fatal(err)
	}
	shown := map[string]json.RawMessage{"budget": all.Budgets["all"]}
	for _, policy := range all.Stacks["every-field"] {
		for kind, fields := range policy {
			for _, own := range []string{"name", "budget", "targets"} {
				delete(fields, own)
			}
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			shown[kind] = text
		}
	}
	text, err := json.Marshal(all.Stacks["adaptive"][0]["bulkhead"])
	if err != nil {
		t.Fatal(err)
	}
	shown["adaptive bulkhead"] = text
	for kind, config := range goesBy {
		if a, b := config(t, shown[kind]), config(t, json.RawMessage(`{}`)); a != b {
			t.Errorf("%s: as docs/stacks.md has it\n%s\nwithout\n%s", kind, a, b)
		}
	}
}

// goesBy makes a policy of each kind from the fields of its Config, and returns what it goes by.
var goesBy = map[string]func(*testing.T, json.RawMessage) string{
	"budget": func(t *testing.T, fields json.RawMessage) string {
		var c retry.BudgetConfig
		return written(t, fields, &c, func() json.Marshaler { return retry.MustNewBudget(c).Config() })
	},
	"retry": func(t *testing.T, fields json.RawMessage) string {
		var c retry.Config
		return written(t, fields, &c, func() json.Marshaler { return retry.MustNew(c).Config() })
	},
	"hedge": func(t *testing.T, fields json.RawMessage) string {
		var c hedge.Config
		return written(t, fields, &c, func() json.Marshaler { return hedge.MustNew(c).Config() })
	},
	"breaker": func(t *testing.T, fields json.RawMessage) string {
		var c breaker.Config
		return written(t, fields, &c, func() json.Marshaler { return breaker.MustNew(c).Config() })
	},
	"bulkhead": func(t *testing.T, fields json.RawMessage) string {
		c := bulkhead.Config{Limit: 64}
		return written(t, fields, &c, func() json.Marshaler { return bulkhead.MustNew(c).Config() })
	},
	"adaptive bulkhead": func(t *testing.T, fields json.RawMessage) string {
		c := bulkhead.Config{Adaptive: &bulkhead.Adaptive{}}
		return written(t, fields, &c, func() json.Marshaler { return bulkhead.MustNew(c).Config() })
	},
	"failover": func(t *testing.T, fields json.RawMessage) string {
		var c failover.Config[int]
		return written(t, fields, &c, func() json.Marshaler {
			c.Targets = []failover.Target[int]{{Name: "a"}}
			return failover.MustNew(c).Config()
		})
	},
}

func written(t *testing.T, fields json.RawMessage, into json.Unmarshaler, config func() json.Marshaler) string {
	t.Helper()
	if err := into.UnmarshalJSON(fields); err != nil {
		t.Fatal(err)
	}
	text, err := config().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
