package breaker_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
)

// Every fault is in the one error, with the field, its value and what would be right.
func TestConfigFaults(t *testing.T) {
	_, err := breaker.New(breaker.Config{
		FailureRatio: 1.5, SlowRatio: math.NaN(), SlowAfter: -1, MinCalls: -3, Window: time.Millisecond,
		OpenFor: -time.Second, MaxOpenFor: time.Microsecond, Probes: -1, ProbeTimeout: 1, ConsecutiveFailures: 1<<31 - 1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"breaker.Config.FailureRatio: 1.5: want above 0 and at most 1",
		"SlowRatio: NaN", "SlowAfter: -1ns", "MinCalls: -3: want at least 1", "Window: 1ms: want at least 10ms", "OpenFor: -1s",
		"MaxOpenFor: 1µs", "Probes: -1", "ProbeTimeout: 1ns", "ConsecutiveFailures: 2147483647",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if _, err := breaker.New(breaker.Config{OpenFor: time.Hour, MaxOpenFor: time.Minute}); err == nil ||
		!strings.Contains(err.Error(), "MaxOpenFor: 1m0s: want at least OpenFor (1h0m0s)") {
		t.Errorf("got %v", err)
	}
	if _, err := breaker.NewKeyed[string](breaker.KeyedConfig{MaxKeys: -1, Config: breaker.Config{Probes: -1}}); err == nil ||
		!strings.Contains(err.Error(), "MaxKeys: -1") || !strings.Contains(err.Error(), "Probes: -1") {
		t.Errorf("got %v", err)
	}
	if b, err := breaker.New(breaker.Config{OpenFor: 5 * time.Minute}); err != nil || b == nil {
		t.Errorf("a long OpenFor with no MaxOpenFor: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNew did not panic")
		}
	}()
	breaker.MustNew(breaker.Config{Probes: -1})
}

func TestConfigJSON(t *testing.T) {
	want := breaker.KeyedConfig{
		Config: breaker.Config{
			Name: "users", ConsecutiveFailures: -1, FailureRatio: 0.2, SlowRatio: 0.3, SlowAfter: 250 * time.Millisecond,
			MinCalls: 7, Window: time.Minute, OpenFor: 3 * time.Second, MaxOpenFor: time.Hour, Probes: 2, ProbeTimeout: time.Second,
			NoSpans: true,
		},
		MaxKeys: 9, IdleAfter: -1,
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"slow_after":"250ms"`) {
		t.Errorf("durations are to be text: %s", data)
	}
	var got breaker.KeyedConfig
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	err = json.Unmarshal([]byte(`{"open_for": "5 sec", "window": 10, "probes": "2", "speed": 1}`), &got)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`open_for: "5 sec": want a duration such as "5s"`, `window: 10: want a duration`, `probes: "2": want a whole number`,
		"speed: no such field: want one of name, consecutive_failures",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a bad document changed the Config: %+v", got)
	}
}

func FuzzConfigJSON(f *testing.F) {
	f.Add(`{"open_for":"5s","probes":2}`)
	f.Add(`{"failure_ratio":1e400}`)
	f.Add(`{"window":null,"window":"-9223372036854775808ns"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, document string) {
		var c breaker.KeyedConfig
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read, but not written: %v", c, err)
		}
		var again breaker.KeyedConfig
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v became %+v (%v) by way of %s", c, again, err, data)
		}
		if k, err := breaker.NewKeyed[int](c); err == nil {
			k.Get(1).Force(breaker.Open)
			call(k.Get(1), ok)
		}
	})
}

func TestStateText(t *testing.T) {
	for s := breaker.Closed; s <= breaker.Shadow; s++ {
		var got breaker.State
		if text, _ := s.MarshalText(); got.UnmarshalText(text) != nil || got != s {
			t.Errorf("%v became %v", s, got)
		}
	}
	var s breaker.State
	if err := s.UnmarshalText([]byte("half-open")); err == nil || !strings.Contains(err.Error(), "half_open") {
		t.Errorf("got %v", err)
	}
	if got := breaker.State(77).String(); got != "State(77)" {
		t.Errorf("got %q", got)
	}
}

// Config has the defaults in it, and leads to the same once more.
func TestConfigOf(t *testing.T) {
	given := breaker.MustNew(breaker.Config{Name: "a", FailureRatio: -1, ConsecutiveFailures: -3, OpenFor: 2 * time.Minute}).Config()
	again := breaker.MustNew(given).Config()
	for _, c := range []breaker.Config{given, again} {
		text, err := json.Marshal(c)
		if want := `{"name":"a","consecutive_failures":-1,"failure_ratio":-1,"slow_ratio":0.5,"min_calls":20,"window":"10s","open_for":"2m0s","max_open_for":"2m0s","probes":1,"probe_timeout":"30s"}`; err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
	if text, err := json.Marshal((*breaker.Breaker)(nil).Config()); err != nil || string(text) != "{}" {
		t.Errorf("of a nil one: %s, %v", text, err)
	}
}
