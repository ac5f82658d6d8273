package retry_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// Every fault is in the one error, with the field, its value and what would be right.
func TestConfigFaults(t *testing.T) {
	for _, test := range []struct {
		config retry.Config
		want   []string
	}{
		{
			retry.Config{MaxDelay: -1, AttemptTimeout: -2, MaxElapsed: -3, BufferBody: -4},
			[]string{"retry.Config.MaxDelay: -1ns: want above zero", "AttemptTimeout: -2ns", "MaxElapsed: -3ns", "BufferBody: -4: want bytes"},
		},
		{
			retry.Config{BaseDelay: time.Minute, MaxDelay: time.Second, AttemptTimeout: time.Hour, MaxElapsed: time.Minute},
			[]string{"BaseDelay: 1m0s: want at most MaxDelay (1s)", "AttemptTimeout: 1h0m0s: want at most MaxElapsed (1m0s)"},
		},
		{retry.Config{BaseDelay: time.Minute}, []string{"BaseDelay: 1m0s: want at most MaxDelay (default 5s)"}},
	} {
		_, err := retry.New(test.config)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q:\n%v", want, err)
			}
		}
	}
	if _, err := retry.New(retry.Config{MaxDelay: time.Millisecond}); err != nil {
		t.Errorf("a MaxDelay below the default BaseDelay: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNew did not panic")
		}
	}()
	retry.MustNew(retry.Config{MaxDelay: -1})
}

func TestConfigJSON(t *testing.T) {
	want := retry.Config{
		Name: "payments", MaxAttempts: -1, BaseDelay: -1, MaxDelay: time.Second, AttemptTimeout: 250 * time.Millisecond,
		MaxElapsed: time.Minute, MaxRetryAfter: -1, BufferBody: 1 << 40, NoAttemptHeader: true, NoAttemptSpans: true,
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"attempt_timeout":"250ms"`) {
		t.Errorf("durations are to be text: %s", data)
	}
	var got retry.Config
	if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	err = json.Unmarshal([]byte(`{"base_delay": "5 sec", "max_attempts": 2.5, "name": 7, "no_attempt_spans": 1, "jitter": true}`), &got)
	for _, want := range []string{
		`base_delay: "5 sec": want a duration such as "5s"`, "max_attempts: 2.5: want a whole number", "name: 7: want a string",
		"no_attempt_spans: 1: want true or false", "jitter: no such field: want one of name, max_attempts",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a bad document changed the Config: %+v", got)
	}
	if err := json.Unmarshal([]byte(`[1]`), &got); err == nil || !strings.Contains(err.Error(), "want an object") {
		t.Errorf("an array: %v", err)
	}
}

func FuzzConfigJSON(f *testing.F) {
	f.Add(`{"base_delay":"5ms","max_attempts":4}`)
	f.Add(`{"max_delay":"-9223372036854775808ns"}`)
	f.Add(`{"buffer_body":1e3,"name":"\u0000"}`)
	f.Fuzz(func(t *testing.T, document string) {
		var c retry.Config
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read, but not written: %v", c, err)
		}
		var again retry.Config
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v became %+v (%v) by way of %s", c, again, err, data)
		}
		if p, err := retry.New(c); err == nil {
			p.Run(context.Background(), func(context.Context) error { return nil })
		}
	})
}

// The good path makes no allocation, in any door, nor does a stack of both.
func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := retry.MustNew(retry.Config{Budget: newBudget(t, retry.BudgetConfig{})})
	wrapped := retry.Wrap(p, func(context.Context, int) (int, error) { return 1, nil })
	for name, f := range map[string]func(){
		"Do":   func() { retry.Do(ctx, p, work) },
		"Wrap": func() { wrapped(ctx, 1) },
		"Run":  func() { p.Run(ctx, func(context.Context) error { return nil }) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// Config has the defaults in it, and leads to the same once more.
func TestConfigOf(t *testing.T) {
	given := retry.MustNew(retry.Config{Name: "a", BaseDelay: -1, MaxElapsed: time.Minute}).Config()
	again := retry.MustNew(given).Config()
	for _, c := range []retry.Config{given, again} {
		text, err := json.Marshal(c)
		if want := `{"name":"a","max_attempts":3,"base_delay":"-1ns","max_delay":"5s","max_elapsed":"1m0s","max_retry_after":"30s"}`; err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
	if text, err := json.Marshal((*retry.Policy)(nil).Config()); err != nil || string(text) != "{}" {
		t.Errorf("of a nil one: %s, %v", text, err)
	}
}
