package hedge_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Every fault is in the one error, with the field, its value and what would be right.
func TestConfigFaults(t *testing.T) {
	_, err := hedge.New(hedge.Config{
		MaxHedges: 11, Quantile: 1, FirstDelay: -1, MinDelay: -2, Memory: time.Second - 1, MaxExtraLoad: 11,
	})
	for _, want := range []string{
		"hedge.Config.MaxHedges: 11: want at least 1 and at most 10", "hedge.Config.Quantile: 1: want at least 0.5 and below 1",
		"hedge.Config.FirstDelay: -1ns: want above zero", "hedge.Config.MinDelay: -2ns: want above zero",
		"hedge.Config.Memory: 999.999999ms: want at least 1s", "hedge.Config.MaxExtraLoad: 11: want a share",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	for _, c := range []hedge.Config{
		{MaxHedges: -1}, {Quantile: 0.49}, {Quantile: -0.5}, {Quantile: math.NaN()}, {Quantile: math.Inf(1)}, {Memory: -1}, {MaxExtraLoad: math.NaN()}, {MaxExtraLoad: math.Inf(1)},
	} {
		if p, err := hedge.New(c); err == nil || p != nil || strings.Count(err.Error(), "\n") != 0 {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []hedge.Config{
		{},
		{Delay: math.MinInt64},
		{Delay: math.MaxInt64},
		{MaxHedges: 10, Quantile: 0.5, Memory: time.Second, MaxExtraLoad: 10},
		{Quantile: math.Nextafter(1, 0), FirstDelay: math.MaxInt64, MinDelay: math.MaxInt64, Memory: math.MaxInt64, MaxExtraLoad: math.Inf(-1)},
	} {
		p, err := hedge.New(c)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		for range 300 {
			if err := p.Run(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if s := p.Snapshot(); s.Delay < 0 || s.Hedges > 30 && c.Delay >= 0 {
			t.Errorf("%+v: %+v", c, s)
		}
	}
	if recovered(func() { hedge.MustNew(hedge.Config{MaxHedges: -1}) }) == nil {
		t.Error("MustNew did not panic")
	}
}

func TestConfigJSON(t *testing.T) {
	want := hedge.Config{
		Name: "search", MaxHedges: 2, Delay: -1, Quantile: 0.99, FirstDelay: time.Second, MinDelay: 2 * ms, Memory: time.Minute,
		MaxExtraLoad: -1, NoAttemptSpans: true,
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`"min_delay":"2ms"`, `"delay":"-1ns"`, `"max_extra_load":-1`, `"no_attempt_spans":true`} {
		if !strings.Contains(string(data), text) {
			t.Errorf("want %s: %s", text, data)
		}
	}
	var got hedge.Config
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	err = json.Unmarshal([]byte(`{"delay": 20, "max_hedges": 1.5, "quantile": "high", "name": 7, "no_attempt_spans": 1, "budget": 3}`), &got)
	for _, want := range []string{
		`delay: 20: want a duration such as "5s"`, "max_hedges: 1.5: want a whole number", `quantile: "high": want a number`, "name: 7: want a string",
		"no_attempt_spans: 1: want true or false", "budget: no such field: want one of name, max_hedges",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a bad document changed the Config: %+v", got)
	}
	if data, err := json.Marshal(hedge.Config{}); string(data) != "{}" || err != nil {
		t.Errorf("the zero Config is %s, %v", data, err)
	}
}

// Fields without a JSON form stay as they are.
func TestConfigJSONLeavesTheRest(t *testing.T) {
	c := hedge.Config{HedgeIf: never, HedgeRequest: func(*http.Request) bool { return false }, Budget: badDeposit{}}
	if err := json.Unmarshal([]byte(`{"delay": "20ms"}`), &c); err != nil || c.Delay != 20*ms || c.HedgeIf == nil || c.HedgeRequest == nil || c.Budget == nil {
		t.Errorf("%+v, %v", c, err)
	}
	if data, err := json.Marshal(c); string(data) != `{"delay":"20ms"}` || err != nil {
		t.Errorf("%s, %v", data, err)
	}
}

func FuzzConfigJSON(f *testing.F) {
	f.Add(`{"delay":"5ms","max_hedges":4}`)
	f.Add(`{"min_delay":"2562047h47m16.854775807s","quantile":0.9999999999999999}`)
	f.Add(`{"delay":"-9223372036854775808ns","max_extra_load":1e-4}`)
	f.Add(`{"memory":"1s","name":"\u0000","max_extra_load":-1e308}`)
	f.Fuzz(func(t *testing.T, document string) {
		var c hedge.Config
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read, but not written: %v", c, err)
		}
		var again hedge.Config
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v became %+v (%v) by way of %s", c, again, err, data)
		}
		p, err := hedge.New(c)
		if err != nil {
			return
		}
		for range 50 { // enough to learn from
			if err := p.Run(context.Background(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if s := p.Snapshot(); s.Successes != 50 || s.Delay < 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// Config has the defaults in it, and leads to the same once more.
func TestConfigOf(t *testing.T) {
	given := hedge.MustNew(hedge.Config{Name: "a", MaxExtraLoad: 0.02}).Config()
	again := hedge.MustNew(given).Config()
	for _, c := range []hedge.Config{given, again} {
		text, err := json.Marshal(c)
		if want := `{"name":"a","max_hedges":1,"quantile":0.98,"first_delay":"100ms","min_delay":"1ms","memory":"30s","max_extra_load":0.02}`; err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
	if text, err := json.Marshal((*hedge.Policy)(nil).Config()); err != nil || string(text) != "{}" {
		t.Errorf("of a nil one: %s, %v", text, err)
	}
}

// A nil pointer for a Budget is a fault at once, not a panic with the first that asks it.
func TestNilBudget(t *testing.T) {
	if _, err := hedge.New(hedge.Config{Budget: (*retry.Budget)(nil)}); err == nil || !strings.Contains(err.Error(), `Budget: "a nil pointer": want a budget, or nothing at all`) {
		t.Error(err)
	}
}
