package holdfast_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast"
)

const document = `{"stacks": {
	"users": [
		{"retry":    {"max_attempts": 4, "attempt_timeout": "2s"}},
		{"hedge":    {"max_extra_load": 0.05}},
		{"failover": {"balance": "peak_ewma", "targets": [{"name": "a", "url": "http://a:8080"}, {"name": "b", "url": "https://b/base", "priority": 1, "weight": 2}]}},
		{"breaker":  {"open_for": "7s", "name": "own"}},
		{"bulkhead": {"limit": 64}}
	],
	"nothing": []
}}`

func TestLoad(t *testing.T) {
	all, err := holdfast.Load([]byte(document))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	const want = "users: retry(4, 100ms..5s, 2s each) → hedge(1 after p95, +5%) → failover(2 of 2, peak_ewma) → breaker(50% of 20 in 10s) → bulkhead(64)"
	if got := all["users"].String(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := all["nothing"].String(); got != "nothing: nothing" {
		t.Error(got)
	}
	d := all["users"].Describe()
	for i, name := range []string{"users", "users", "users", "own", "users"} {
		if d.Layers[i].Name != name {
			t.Errorf("policy %d is called %q, want %q", i, d.Layers[i].Name, name)
		}
	}
	decoded := map[string]any{"stacks": map[string]any{"a": []any{map[string]any{"retry": map[string]any{"max_attempts": 2}}}}}
	if all, err := holdfast.LoadValue(decoded); err != nil || all["a"].String() != "a: retry(2, 100ms..5s)" {
		t.Error(all, err)
	}
	if _, err := holdfast.LoadValue(func() {}); err == nil {
		t.Error("a document that is a function")
	}
}

// Every fault is in the error, each on a line with its place.
func TestLoadFaults(t *testing.T) {
	for _, test := range []struct {
		name, document string
		want           []string
	}{
		{"empty", ``, []string{"the document: it ends too early"}},
		{"cut off", "{\n\"stacks\"", []string{"the document: it ends too early"}},
		{"no JSON", "{\n\n x", []string{"the document: line 3: invalid character 'x' looking for beginning of object key string"}},
		{"more than one", `{"stacks": {}} {}`, []string{"the document: there is something after its end"}},
		{"no object", `[]`, []string{"the document: want an object"}},
		{"no stacks", `{"stack": {}}`, []string{"stack: no such field: want stacks", "stacks: missing: want an object of stacks by their names"}},
		{"twice", `{"stacks": {"a": [], "a": []}}`, []string{"stacks: a is there twice"}},
		{"a field twice", `{"stacks": {"a": [{"retry": {"max_attempts": 2, "max_attempts": 3}}]}}`, []string{"stacks.a[0].retry: max_attempts is there twice"}},
		{"a policy twice", `{"stacks": {"a": [{"retry": {}, "retry": {}}]}}`, []string{"stacks.a[0]: retry is there twice"}},
		{"top twice", `{"stacks": {}, "stacks": {}}`, []string{"the document: stacks is there twice"}},
		{
			"budgets", `{"budgets": {"db": {"ratio": 7}, "x y": 1, "z": {"rate": 1}}, "stacks": {"a": [{"retry": {"budget": "d"}}, {"hedge": {"budget": 1}}]}}`,
			[]string{
				"budgets.db.ratio: 7: want from 0.001 to 1",
				`budgets."x y": want an object`,
				"budgets.z.rate: no such field",
				`stacks.a[0].retry.budget: "d": no such budget: want one of db, "x y", z`,
				"stacks.a[1].hedge.budget: want the name of one of the budgets",
			},
		},
		{"no budgets", `{"stacks": {"a": [{"failover": {"budget": "d", "targets": [{"name": "a", "url": "http://a"}, 7]}}]}}`, []string{
			`stacks.a[0].failover.budget: "d": no such budget: want one of the budgets, of which there are none`,
			"stacks.a[0].failover.targets[1]: want an object with a name and a url",
		}},
		{"a list of stacks", `{"stacks": []}`, []string{"stacks: want an object of stacks by their names"}},
		{"null", `{"stacks": null}`, []string{"stacks: want an object of stacks by their names"}},
		{"no list", `{"stacks": {"a b": {}}}`, []string{`stacks."a b": want a list of policies, the outermost first`}},
		{
			"all kinds of faults", `{"stacks": {"users": [
				{"retry": {"max_attempts": -1, "max_delay": "5s"}},
				{"breaker": {"open_for": "5 sec", "color": "red"}},
				{"braker": {}},
				{"retry": {}, "hedge": {}},
				{"bulkhead": null},
				7,
				{"failover": {"balance": "luck", "targets": [{"name": 7, "url": "ftp://a", "wait": 1}]}},
				{"failover": {"targets": [{"name": "a", "url": "http://a"}, {"name": "a", "url": "http://b", "weight": -1}]}}
			], "a": [{"hedge": {"delay": 5}}]}}`,
			[]string{
				`stacks.a[0].hedge.delay: 5: want a duration such as "5s"`,
				`stacks.users[1].breaker.open_for: "5 sec": want a duration such as "5s"`,
				`stacks.users[1].breaker.color: no such field`,
				`stacks.users[2].braker: no such policy: want one of breaker, bulkhead, failover, hedge, retry`,
				`stacks.users[3]: want an object with one policy: breaker, bulkhead, failover, hedge, retry`,
				`stacks.users[4].bulkhead: want an object`,
				`stacks.users[5]: want an object with one policy`,
				`stacks.users[6].failover.targets[0].name: want a string`,
				`stacks.users[6].failover.targets[0].url: "ftp://a": want a URL such as "http://a:8080"`,
				`stacks.users[6].failover.targets[0].wait: no such field`,
				`stacks.users[6].failover.balance: "luck": want ordered, round_robin, least_loaded or peak_ewma`,
				`stacks.users[7].failover.targets[1].name: "a"`,
				`stacks.users[7].failover.targets[1].weight: -1: want above zero`,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, err := holdfast.Load([]byte(test.document))
			if err == nil || all != nil {
				t.Fatal(all, err)
			}
			for _, want := range test.want {
				if !strings.Contains("\n"+err.Error(), "\n"+want) {
					t.Errorf("no line %s in\n%v", want, err)
				}
			}
		})
	}
}

// Whatever the document, Load returns stacks or an error of which each line has a place.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(`{"stacks": {"": [{"retry": {"max_attempts": 1e99}}]}}`))
	f.Add([]byte(`{"stacks": {"a": [{"failover": {"targets": [{}], "weight": null}}]}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		all, err := holdfast.Load(document)
		if (err == nil) != (all != nil) {
			t.Fatal(all, err)
		}
		for _, s := range all {
			_, _, _ = s.String(), s.Mermaid(), s.Describe()
			s.Check()
		}
		if err == nil {
			return
		}
		if !utf8.ValidString(err.Error()) {
			t.Errorf("%q", err)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if at, _, ok := strings.Cut(line, ": "); !ok || at == "" {
				t.Errorf("no place: %q", line)
			}
		}
	})
}
