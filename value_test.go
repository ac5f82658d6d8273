package holdfast_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

type anyObject = map[any]any

// Decoders of YAML make objects of different types; what they mean is the same.
func TestLoadValueOfAnyKeys(t *testing.T) {
	policies := []any{anyObject{"retry": anyObject{"max_attempts": 4.0}}}
	for name, v := range map[string]any{
		"any":      anyObject{"stacks": anyObject{"a": policies}},
		"pointer":  &[]any{anyObject{"stacks": anyObject{"a": policies}}}[0],
		"typed":    map[string]map[string][]map[string]anyObject{"stacks": {"a": {{"retry": {"max_attempts": 4}}}}},
		"a struct": struct{ Stacks any }{map[string]any{"a": nil}},
	} {
		all, err := holdfast.LoadValue(v)
		if name == "a struct" { // has its own names
			if err == nil || !strings.Contains(err.Error(), "Stacks: no such field") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || all["a"].String() != "a: retry(4, 100ms..5s)" {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
	all, err := holdfast.LoadValue(anyObject{"stacks": anyObject{404: policies}})
	if err != nil || all["404"] == nil {
		t.Errorf("a number as a name: %v, %v", all, err)
	}
}

type spokenKey string

func (k spokenKey) String() string { return "the " + string(k) }

// A key is what it is, as it is to encoding/json, and not what it calls itself.
func TestLoadValueKeysAreNotSpoken(t *testing.T) {
	all, err := holdfast.LoadValue(map[spokenKey]any{"stacks": map[time.Month][]any{time.May: {anyObject{"retry": anyObject{}}}}})
	if err != nil || all["5"] == nil {
		t.Errorf("%v, %v", all, err)
	}
}

// Each place that cannot be written is in the error, and what would be right.
func TestLoadValueTellsAllPlaces(t *testing.T) {
	const want = ": want text, a number, true or false, a list or an object"
	deep := []any{nil}
	deep[0] = deep
	for _, test := range []struct {
		v    any
		want []string
	}{
		{
			anyObject{"stacks": anyObject{"a": []map[string]any{{"retry": func() {}}, {"hedge": anyObject{"quantile": math.NaN()}}}, "b": make(chan int)}},
			[]string{
				"stacks.a[0].retry: json: unsupported type: func()" + want,
				"stacks.a[1].hedge.quantile: json: unsupported value: NaN" + want,
				"stacks.b: json: unsupported type: chan int" + want,
			},
		},
		{
			anyObject{"stacks": anyObject{"a": []any{}, true: 1, nil: 2, 1.5: 3}},
			[]string{
				"stacks: the key 1.5: want text, in quotes where it would be something else",
				"stacks: the key null: want text, in quotes where it would be something else",
				"stacks: the key true: want text, in quotes where it would be something else",
			},
		},
		{anyObject{"stacks": anyObject{1: 1, "1": 2}}, []string{"stacks: 1 is there twice"}},
		{ // in the same order each time, and text that says true is not the key true
			anyObject{1: 1, "1": 2, 2: 1, "2": 2, 3: 1, "3": 2, true: 1, "true": 2},
			[]string{
				"the document: 1 is there twice",
				"the document: 2 is there twice",
				"the document: 3 is there twice",
				"the document: the key true: want text, in quotes where it would be something else",
			},
		},
		{ // which no lookup finds in the map that has it
			anyObject{"stacks": anyObject{math.NaN(): func() {}}},
			[]string{
				"stacks: the key NaN: want text, in quotes where it would be something else",
				"stacks.NaN: json: unsupported type: func()" + want,
			},
		},
		{func() {}, []string{"the document: json: unsupported type: func()" + want}},
		{deep, []string{"[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: want a document that is not as deep as this"}},
	} {
		if _, err := holdfast.LoadValue(test.v); err == nil || err.Error() != strings.Join(test.want, "\n") {
			t.Errorf("%v\nwant\n%s", err, strings.Join(test.want, "\n"))
		}
	}
}
