package conf_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// settings is a Config as the policies have them, and inner one in it.
type settings struct {
	name  string
	count int
	bytes int64
	ratio float64
	on    bool
	wait  time.Duration
	inner inner
}

type inner struct{ wait time.Duration }

func (s *settings) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &s.name},
		{Key: "count", To: &s.count},
		{Key: "bytes", To: &s.bytes},
		{Key: "ratio", To: &s.ratio},
		{Key: "on", To: &s.on},
		{Key: "wait", To: &s.wait},
		{Key: "inner", To: &s.inner},
	}
}

func (i *inner) fields() conf.Fields             { return conf.Fields{{Key: "wait", To: &i.wait}} }
func (i *inner) UnmarshalJSON(data []byte) error { return i.fields().Unmarshal(data) }
func (i inner) MarshalJSON() ([]byte, error)     { return i.fields().Marshal() }

// What was written is read again, durations as text.
func TestRoundTrip(t *testing.T) {
	for _, test := range []struct {
		value settings
		text  string
	}{
		{settings{}, `{}`}, // what is zero is left out
		{
			settings{"a", 2, 3, 0.5, true, 90 * time.Second, inner{1500 * time.Microsecond}},
			`{"name":"a","count":2,"bytes":3,"ratio":0.5,"on":true,"wait":"1m30s","inner":{"wait":"1.5ms"}}`,
		},
		{settings{wait: -1}, `{"wait":"-1ns"}`},
		{settings{wait: 1<<63 - 1}, `{"wait":"2562047h47m16.854775807s"}`},
		{settings{name: "a\"b\n", count: -1}, `{"name":"a\"b\n","count":-1}`},
	} {
		data, err := test.value.fields().Marshal()
		if err != nil || string(data) != test.text || !json.Valid(data) {
			t.Errorf("%+v: %s, %v, want %s", test.value, data, err, test.text)
		}
		var again settings
		if err := again.fields().Unmarshal(data); err != nil || again != test.value {
			t.Errorf("%s: %+v, %v, want %+v", data, again, err, test.value)
		}
	}
}

// A key that is absent leaves its field alone, and null makes it zero.
func TestUnmarshalKeeps(t *testing.T) {
	s := settings{name: "kept", count: 7, wait: time.Second}
	if err := s.fields().Unmarshal([]byte(`{"count": null, "on": true}`)); err != nil || s != (settings{name: "kept", on: true, wait: time.Second}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// nested is a Config that has another behind a pointer, with a part that has no JSON form.
type nested struct{ in *within }

type within struct {
	wait  time.Duration
	count int
	call  func() string
}

func (n *nested) fields() conf.Fields { return conf.Fields{{Key: "in", To: &n.in}} }
func (w *within) UnmarshalJSON(data []byte) error {
	return conf.Fields{{Key: "wait", To: &w.wait}, {Key: "count", To: &w.count}}.Unmarshal(data)
}

// What is in a Config in the Config is kept as well; and who has a pointer to it sees nothing of the document.
func TestUnmarshalKeepsWithin(t *testing.T) {
	had := &within{wait: time.Second, count: 7, call: func() string { return "kept" }}
	n := nested{in: had}
	if err := n.fields().Unmarshal([]byte(`{"in": {"count": 8}}`)); err != nil {
		t.Fatal(err)
	}
	if n.in.wait != time.Second || n.in.count != 8 || n.in.call == nil || n.in.call() != "kept" || had.count != 7 {
		t.Errorf("%+v, the one before %+v", n.in, had)
	}
	if err := n.fields().Unmarshal([]byte(`{"in": {"count": 9, "wait": 1}}`)); err == nil || n.in.count != 8 {
		t.Errorf("%+v, %v", n.in, err)
	}
	if err := n.fields().Unmarshal([]byte(`{"in": null}`)); err != nil || n.in != nil {
		t.Errorf("%+v, %v", n.in, err)
	}
	if err := n.fields().Unmarshal([]byte(`{"in": {}}`)); err != nil || n.in == nil {
		t.Errorf("%+v, %v", n.in, err)
	}
}

// Each fault is one line that names the field, the value and what would be right; and nothing is set if there is one.
func TestUnmarshalFaults(t *testing.T) {
	const keys = "no such field: want one of name, count, bytes, ratio, on, wait, inner"
	x := strings.Repeat("x", 57)
	for _, test := range []struct{ text, want string }{
		{`{"wait": 5}`, `wait: 5: want a duration such as "5s"`},
		{`{"wait": "soon"}`, `wait: "soon": want a duration such as "5s"`},
		{`{"count": "x"}`, `count: "x": want a whole number`},
		{`{"bytes": 1.5}`, `bytes: 1.5: want a whole number`},
		{`{"count": 99999999999999999999}`, `count: 99999999999999999999: want a whole number`},
		{`{"ratio": true}`, `ratio: true: want a number`},
		{`{"on": 1}`, `on: 1: want true or false`},
		{`{"name": 7}`, `name: 7: want a string`},
		{`{"inner": {"wait": 5, "x": 1}}`, "inner.wait: 5: want a duration such as \"5s\"\ninner.x: no such field: want one of wait"},
		{`{"inner": 5}`, `inner: 5: want an object`},
		{`[]`, `[]: want an object`},
		{`"x"`, `"x": want an object`},
		{`{"x": 1, "wait": 5, "name": "set?"}`, "wait: 5: want a duration such as \"5s\"\nx: " + keys},
		{`{"Name": "a"}`, `Name: ` + keys},
		{`{"": 1}`, `"": ` + keys},
		{`{"a\nb": 1}`, `"a\nb": ` + keys},
		{`{"a\u2028b": 1, "a\"b": 1}`, `"a\"b": ` + keys + "\n" + `"a\u2028b": ` + keys},
		// 60 bytes of a value or a key are shown, and no half of a rune.
		{`{"count": "` + x + `yz"}`, `count: "` + x + `yz…: want a whole number`},
		{`{"count": "` + x + `yé and more"}`, `count: "` + x + `y…: want a whole number`},
		{`{"` + x + `yyé and more": 1}`, x + `yy…: ` + keys},
	} {
		var s settings
		err := s.fields().Unmarshal([]byte(test.text))
		if err == nil || err.Error() != test.want || !utf8.ValidString(err.Error()) {
			t.Errorf("%s:\n%v\nwant\n%s", test.text, err, test.want)
		}
		if s != (settings{}) {
			t.Errorf("%s: set %+v", test.text, s)
		}
	}
}

// Faults of a Config in Go name the type too; a string is quoted.
func TestFaults(t *testing.T) {
	f := conf.Check("retry.Config")
	if f.Want(true, "Fine", 1, "anything"); f.Err() != nil {
		t.Errorf("got %v", f.Err())
	}
	f.Want(false, "MaxDelay", -time.Second, "above zero")
	f.Want(false, "Name", "a\nb", "one word")
	if err := f.Err(); err == nil || err.Error() != "retry.Config.MaxDelay: -1s: want above zero\nretry.Config.Name: \"a\\nb\": want one word" {
		t.Errorf("got %v", err)
	}
}

// Zero is the default, and a negative value none, where there is such a thing as none.
func TestDefaults(t *testing.T) {
	for _, test := range []struct{ value, or, orNone int }{{0, 3, 3}, {2, 2, 2}, {-1, -1, 0}} {
		if or, orNone := conf.Or(test.value, 3), conf.OrNone(test.value, 3); or != test.or || orNone != test.orNone {
			t.Errorf("%d: %d and %d, want %d and %d", test.value, or, orNone, test.or, test.orNone)
		}
	}
}

func TestNilIn(t *testing.T) {
	for _, test := range []struct {
		value any
		want  bool
	}{{nil, false}, {(*int)(nil), true}, {new(int), false}, {0, false}, {settings{}, false}} {
		if got := conf.NilIn(test.value); got != test.want {
			t.Errorf("%#v: %v", test.value, got)
		}
	}
}
