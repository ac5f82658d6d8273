package chaos_test

import (
	"encoding/json"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// wantFaults: all of them are in the one error, each in a line of its own.
func wantFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want\n%s", strings.Join(want, "\n"))
	}
	if got := strings.Split(err.Error(), "\n"); len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%v", len(got), len(want), err)
	}
	for _, w := range want {
		if !strings.Contains("\n"+err.Error()+"\n", "\n"+w+"\n") {
			t.Errorf("the error does not say %q:\n%v", w, err)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	const rate = "want above 0 and at most 1"
	for _, test := range []struct {
		fault chaos.Fault
		want  []string
	}{
		{chaos.Fault{}, []string{
			"Rate: 0: " + rate,
			"Kind: 0: want Failure, Latency, BlackHole, Deaf, Panic, Status, Reset, Truncate, Corrupt or Slow",
		}},
		{chaos.Fault{Kind: 99, Rate: 1}, []string{"Kind: 99: want Failure, Latency, BlackHole, Deaf, Panic, Status, Reset, Truncate, Corrupt or Slow"}},
		{chaos.Fault{Kind: chaos.Failure, Rate: math.NaN()}, []string{"Rate: NaN: " + rate}},
		{chaos.Fault{Kind: chaos.Failure, Rate: 1.1}, []string{"Rate: 1.1: " + rate}},
		{chaos.Fault{Kind: chaos.Latency, Rate: 1}, []string{"Delay: {0s 0 0s 0 0s}: want a Median, or Slow and SlowShare"}},
		{chaos.Fault{Kind: chaos.Deaf, Rate: 1, Delay: chaos.Delay{Median: -1, Sigma: -1, Slow: -1, SlowShare: 2, Max: -1}}, []string{
			"Delay.Median: -1ns: want at least 0",
			"Delay: {-1ns -1 -1ns 2 -1ns}: want a Median, or Slow and SlowShare",
			"Delay.Sigma: -1: want at least 0 and at most 10",
			"Delay.Slow: -1ns: want at least 0",
			"Delay.SlowShare: 2: want at least 0 and at most 1",
			"Delay.Max: -1ns: want at least 0 (default 100 times the longer one of Median and Slow)",
		}},
		{chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: 1, Slow: 2}}, []string{"Delay.SlowShare: 0: want both Slow and SlowShare, or neither"}},
		{
			chaos.Fault{Kind: chaos.BlackHole, Rate: 1, Schedule: chaos.Schedule{From: -1, Until: -2, Ramp: -3, On: -4, Off: 0}},
			[]string{
				"Schedule.From: -1ns: want at least 0",
				"Schedule.Until: -2ns: want more than From, or zero for no end",
				"Schedule.Ramp: -3ns: want at least 0",
				"Schedule.On: -4ns: want at least 0",
				"Schedule.Off: 0s: want both On and Off, or neither",
			},
		},
		{chaos.Fault{Kind: chaos.Status, Rate: 1, Status: 103}, []string{"Status: 103: want 200 to 999 (default 503)"}},
		{chaos.Fault{Kind: chaos.Slow, Rate: 1}, []string{"BytesPerSecond: 0: want at least 1"}},
		{chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: -1}, []string{"Bytes: -1: want at least 0"}},
		{
			chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: 1}, Err: errBoom, Panic: 1, Status: 500, RetryAfter: "1", Body: "x", Bytes: 1, BytesPerSecond: 1},
			[]string{
				"Err: boom: want none, for latency has no use for it",
				"Panic: \"a value\": want none, for latency has no use for it",
				"Status: 500: want none, for latency has no use for it",
				"RetryAfter: \"1\": want none, for latency has no use for it",
				"Body: \"x\": want none, for latency has no use for it",
				"Bytes: 1: want none, for latency has no use for it",
				"BytesPerSecond: 1: want none, for latency has no use for it",
			},
		},
		{chaos.Fault{Kind: chaos.Truncate, Rate: 1, After: true, Delay: chaos.Delay{Median: 1}}, []string{
			"After: true: want none, for truncate has no use for it",
			"Delay: {1ns 0 0s 0 0s}: want none, for truncate has no use for it",
		}},
		{chaos.Fault{Kind: chaos.Reset, Rate: 1, WhenConn: func(net.Conn) bool { return true }, When: nil, Bytes: 1, After: true}, []string{
			"After: true: want none, for reset has no use for it",
		}},
	} {
		_, err := chaos.New(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}, test.fault}})
		for i := range test.want {
			test.want[i] = "chaos.Config.Faults[1]." + test.want[i]
		}
		wantFaults(t, err, test.want...)
	}
	_, err := chaos.New(chaos.Config{Faults: make([]chaos.Fault, 1001)})
	if err == nil || !strings.HasPrefix(err.Error(), "chaos.Config.Faults: 1001: want at most 1000\n") {
		t.Errorf("1001 faults: %.100v", err)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "Rate: 0") {
			t.Errorf("MustNew panicked with %v, want the error", err)
		}
	}()
	chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure}}})
}

// What it goes by is a copy, with defaults.
func TestConfigOf(t *testing.T) {
	given := chaos.Config{Name: "a", Seed: 3, Faults: []chaos.Fault{
		{Kind: chaos.Status, Rate: 1}, {Kind: chaos.Corrupt, Rate: 1}, {Name: "slow disk", Kind: chaos.Truncate, Rate: 1, Bytes: 5},
	}}
	in := chaos.MustNew(given)
	given.Faults[0].Rate = 0.5
	c := in.Config()
	if f := c.Faults[0]; f.Name != "status" || f.Status != 503 || f.Rate != 1 {
		t.Errorf("%+v", f)
	}
	if c.Faults[1].Bytes != 64 || c.Faults[2].Name != "slow disk" || c.Name != "a" || c.Seed != 3 {
		t.Errorf("%+v", c)
	}
	c.Faults[0].Rate = 0.1
	if in.Config().Faults[0].Rate != 1 {
		t.Error("Config shares the faults")
	}
	if s := in.Snapshot(); s.Name != "a" || s.Enabled || len(s.Faults) != 3 || s.Faults[2].Kind != chaos.Truncate || !s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	if data, err := json.Marshal(in.Snapshot()); err != nil || !strings.Contains(string(data), `{"name":"slow disk","kind":"truncate","struck":0}`) {
		t.Errorf("%s, %v", data, err)
	}
}

const configText = `{"name":"users","seed":18446744073709551615,"faults":[` +
	`{"kind":"latency","rate":0.1,"schedule":{"from":"1m0s","until":"5m0s","ramp":"30s","on":"1s","off":"2s"},"after":true,` +
	`"delay":{"median":"50ms","sigma":0.5,"slow":"2s","slow_share":0.01,"max":"10s"}},` +
	`{"name":"busy","kind":"status","rate":1,"status":429,"retry_after":"*","body":"later"},` +
	`{"kind":"reset","rate":0.5,"bytes":100},{"kind":"slow","rate":0.5,"bytes_per_second":1000}]}`

func TestConfigJSON(t *testing.T) {
	var c chaos.Config
	if err := json.Unmarshal([]byte(configText), &c); err != nil {
		t.Fatal(err)
	}
	if f := c.Faults[0]; f.Kind != chaos.Latency || f.Delay.Slow != 2*time.Second || f.Schedule.Ramp != 30*time.Second || !f.After {
		t.Errorf("%+v", f)
	}
	if _, err := chaos.New(c); err != nil {
		t.Error(err)
	}
	if data, err := json.Marshal(c); err != nil || string(data) != configText {
		t.Errorf("%v\n%s\n%s", err, data, configText)
	}
	if err := json.Unmarshal([]byte(`{"secret":"x","seed":1}`), &c); err != nil || c.Secret != "x" || len(c.Faults) != 4 || c.Name != "users" {
		t.Errorf("%+v, %v", c, err)
	}
	if data, err := json.Marshal(c); err != nil || strings.Contains(string(data), "secret") {
		t.Errorf("%s, %v", data, err)
	}
}

// Each fault of a document names its place in it, and nothing is set if there is one.
func TestConfigJSONFaults(t *testing.T) {
	had := chaos.Config{Name: "kept", Faults: []chaos.Fault{{Kind: chaos.Slow}}}
	c := had
	err := json.Unmarshal([]byte(`{"name": "new", "x": 1, "faults": [{"kind": "error"}, {"kind": "worse", "rate": 1},
		{"rate": "often", "schedule": {"from": 5}, "delay": {"mean": "1s"}}, 7]}`), &c)
	wantFaults(t, err,
		`faults[1].kind: "worse": want one of error, latency, black_hole, deaf, panic, status, reset, truncate, corrupt, slow`,
		`faults[2].rate: "often": want a number`,
		`faults[2].schedule.from: 5: want a duration such as "5s"`,
		`faults[2].delay.mean: no such field: want one of median, sigma, slow, slow_share, max`,
		`faults[3].7: want an object`,
		`x: no such field: want one of name, seed, faults, secret`,
	)
	if !reflect.DeepEqual(c, had) {
		t.Errorf("set %+v", c)
	}
}

// A document never panics; what is read and written is read again.
func FuzzConfigJSON(f *testing.F) {
	f.Add(configText)
	f.Add(`{"faults":[{"kind":"corrupt","rate":1e-300,"bytes":9223372036854775807}],"secret":"a"}`)
	f.Add(`{"faults":[{"kind":"black_hole","rate":1,"schedule":{"on":"2562047h47m16.854775807s","off":"2562047h47m16.854775807s"}}]}`)
	f.Add(`{"faults":[{"kind":null},null,[],7]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c chaos.Config
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		c.Secret = ""
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		var again chaos.Config
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if data2, err := json.Marshal(again); err != nil || string(data) != string(data2) {
			t.Errorf("%v\n%s\n%s", err, data, data2)
		}
		in, err := chaos.New(c)
		if err != nil {
			return
		}
		in.Enable()
		in.Disable()
		if _, err := chaos.New(in.Config()); err != nil {
			t.Errorf("its own Config does not do: %v", err)
		}
	})
}

func TestKinds(t *testing.T) {
	for k := chaos.Failure; k <= chaos.Slow; k++ {
		text, _ := k.MarshalText()
		var again chaos.Kind
		if err := again.UnmarshalText(text); err != nil || again != k || string(text) != k.String() {
			t.Errorf("%v: %s, %v", k, text, err)
		}
	}
	var k chaos.Kind
	for _, text := range []string{"", "Error", "11"} {
		if k.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a kind", text)
		}
	}
	if s := chaos.Kind(11).String(); s != "Kind(11)" {
		t.Error(s)
	}
}
