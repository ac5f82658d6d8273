package holdfast_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// However many faults a document has, as many are told as anybody reads, each with its place.
func TestLoadManyFaults(t *testing.T) {
	many := func(format string) string {
		var all strings.Builder
		for i := range 20_000 {
			if i > 0 {
				all.WriteByte(',')
			}
			fmt.Fprintf(&all, strings.ReplaceAll(format, "%", "%[1]d"), i)
		}
		return all.String()
	}
	for name, test := range map[string]struct{ document, want string }{
		"policies":     {`{"stacks": {"a": [` + many(`%`) + `]}}`, "stacks.a: 20000 policies: want 100 at the most"},
		"fields":       {`{"stacks": {"a": [{"retry": {` + many(`"f%": 1`) + `}}]}}`, "stacks.a[0].retry: want 100 fields at the most, not 20000"},
		"fields below": {`{"stacks": {"a": [{"bulkhead": {"adaptive": {` + many(`"f%": 1`) + `}}}]}}`, "stacks.a[0].bulkhead.adaptive: want 100 fields at the most, not 20000"},
		"of a target":  {`{"stacks": {"a": [{"failover": {"targets": [{` + many(`"f%": 1`) + `}]}}]}}`, "stacks.a[0].failover.targets[0]: want 100 fields at the most, not 20000"},
		"targets":      {`{"stacks": {"a": [{"failover": {"targets": [` + many(`%`) + `]}}]}}`, "stacks.a[0].failover.targets[99]: want an object"},
		"stacks":       {`{"stacks": {` + many(`"s%": 1`) + `}}`, "stacks.s10: want a list of policies"},
		"budgets":      {`{"budgets": {` + many(`"b%": 1`) + `}, "stacks": {}}`, "budgets.b10: want an object"},
		"top":          {`{` + many(`"x%": 1`) + `}`, "x10: no such field"},
		"a policy's":   {`{"stacks": {` + many(`"s%": [{"retry": {"max_delay": "-1s", "max_elapsed": "-1s"}}]`) + `}}`, "stacks.s1[0].retry.max_elapsed"},
	} {
		_, err := holdfast.Load([]byte(test.document))
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+test.want) {
			t.Errorf("%s: no line %s in %.200v", name, test.want, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) > 101 || len(lines) > 1 && lines[len(lines)-1] != "the document: there may be more faults than these" {
			t.Errorf("%s: %d lines, the last %s", name, len(lines), lines[len(lines)-1])
		}
	}
}

// A key that is there twice is a fault at every depth.
func TestLoadTwiceWithin(t *testing.T) {
	_, err := holdfast.Load([]byte(`{"stacks": {"a": [{"bulkhead": {"adaptive": {"min": 1, "min": 2}}}, {"failover": {"targets": [{"name": "a", "name": "b", "url": "http://a"}]}}]}}`))
	for _, want := range []string{"stacks.a[0].bulkhead.adaptive: min is there twice", "stacks.a[1].failover.targets[0]: name is there twice"} {
		if err == nil || !strings.Contains("\n"+err.Error()+"\n", "\n"+want) {
			t.Errorf("no line %s in %v", want, err)
		}
	}
}

// What something else has decoded may have no form in JSON: the error says where.
func TestLoadValueFaults(t *testing.T) {
	policy := func(v any) any {
		return map[string]any{"stacks": map[string]any{"a b": []any{map[string]any{"retry": map[string]any{}}, map[string]any{"hedge": v}}}}
	}
	around := map[string]any{}
	around["stacks"] = around
	for _, test := range []struct {
		document any
		want     string
	}{
		{policy(map[string]any{"quantile": math.NaN()}), `stacks."a b"[1].hedge.quantile: json: unsupported value: NaN`},
		{policy(map[any]any{"quantile": "x"}), `stacks."a b"[1].hedge.quantile: "x": want a number`},
		{map[any]any{"stacks": nil}, "stacks: want an object of stacks by their names"},
		{around, "stacks.stacks"},
	} {
		if _, err := holdfast.LoadValue(test.document); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v\nwant %s", err, test.want)
		}
		r, err := holdfast.NewRegistry(holdfast.RegistryConfig{Decode: func([]byte) (any, error) { return test.document, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Apply(nil); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v\nwant %s", err, test.want)
		}
	}
}
