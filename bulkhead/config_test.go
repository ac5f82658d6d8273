package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/bulkhead"
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

// TestConfigFaults: every fault is in the one error, with the field, its value and what would be right.
func TestConfigFaults(t *testing.T) {
	const interval = "at least 1µs, or below zero for never (default 100ms or 10 calls)"
	for _, test := range []struct {
		config bulkhead.Config
		want   []string
	}{
		{bulkhead.Config{}, []string{"Limit: 0: want at least 1 and at most 1000000, or Adaptive"}},
		{bulkhead.Config{Limit: 1_000_001}, []string{"Limit: 1000001: want at least 1 and at most 1000000, or Adaptive"}},
		{
			bulkhead.Config{Limit: -1, Queue: -2, MaxWait: -3, Interval: 4, Target: -5, Rate: -6, Burst: -7},
			[]string{
				"Limit: -1: want at least 1 and at most 1000000, or Adaptive",
				"Queue: -2: want at least 0 and at most 1000000",
				"MaxWait: -3ns: want at least 1µs, or zero for the context's deadline",
				"Interval: 4ns: want " + interval,
				"Target: -5ns: want at least 1µs (default 5ms or 3 calls)",
				"Rate: -6: want above 0, or zero for no bound",
				"Burst: -7: want at least 1 and at most 2147483647 (default a second's worth)",
			},
		},
		{
			bulkhead.Config{Limit: 1, Queue: 1_000_001, MaxWait: 999, Target: 999, Rate: rate.Limit(math.NaN()), Burst: math.MaxInt32 + 1},
			[]string{
				"Queue: 1000001: want at least 0 and at most 1000000",
				"MaxWait: 999ns: want at least 1µs, or zero for the context's deadline",
				"Target: 999ns: want at least 1µs (default 5ms or 3 calls)",
				"Rate: NaN: want above 0, or zero for no bound",
				"Burst: 2147483648: want at least 1 and at most 2147483647 (default a second's worth)",
			},
		},
		{bulkhead.Config{Limit: 1, Rate: rate.Limit(math.Inf(1))}, []string{"Rate: +Inf: want above 0, or zero for no bound"}},
		{bulkhead.Config{Limit: 1, Burst: 5}, []string{"Burst: 5: want zero while there is no Rate"}},
		{
			bulkhead.Config{Limit: -1, Queue: -1, Adaptive: &bulkhead.Adaptive{Min: -1}},
			[]string{
				"Limit: -1: want at most Adaptive.Max, or 0 for Adaptive's own start",
				"Adaptive.Min: -1: want at least 1 (default 1)",
				"Queue: -1: want at least 0 and at most 1000000",
			},
		},
		{
			bulkhead.Config{Limit: 51, Adaptive: &bulkhead.Adaptive{Max: 50}},
			[]string{"Limit: 51: want at most Adaptive.Max, or 0 for Adaptive's own start"},
		},
		{bulkhead.Config{Limit: 5, Adaptive: &bulkhead.Adaptive{Max: 1_000_001}}, []string{"Adaptive.Max: 1000001: want at most 1000000 (default 200)"}},
	} {
		_, err := bulkhead.New(test.config)
		for i := range test.want {
			test.want[i] = "bulkhead.Config." + test.want[i]
		}
		wantFaults(t, err, test.want...)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "Queue: -1") {
			t.Errorf("MustNew panicked with %v, want the error", err)
		}
	}()
	bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: -1})
}

func TestKeyedConfigFaults(t *testing.T) {
	for _, test := range []struct {
		config bulkhead.KeyedConfig
		want   []string
	}{
		{bulkhead.KeyedConfig{}, []string{"Total: 0: want at least 1 and at most 1000000"}},
		{
			bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: -1, Queue: -2}, Total: -3, MaxKeys: -4},
			[]string{
				"Total: -3: want at least 1 and at most 1000000",
				"Limit: -1: want at least 1 and at most 1000000, or Adaptive",
				"Queue: -2: want at least 0 and at most 1000000",
				"MaxKeys: -4: want at least 1 (default 10000)",
			},
		},
		{bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 11}, Total: 10}, []string{"Limit: 11: want at most Total (10)"}},
		{bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 11}}, []string{"Total: 0: want at least 1 and at most 1000000"}},
		{
			bulkhead.KeyedConfig{Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 11}}},
			[]string{"Total: 0: want at least 1 and at most 1000000"},
		},
		{
			bulkhead.KeyedConfig{Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{Max: 11}}, Total: 10},
			[]string{"Adaptive.Max: 11: want at most Total (10)"},
		},
		{
			bulkhead.KeyedConfig{Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 11}}, Total: 10},
			[]string{"Adaptive.Min: 11: want at most Total (10)"},
		},
	} {
		_, err := bulkhead.NewKeyed[string](test.config)
		for i := range test.want {
			test.want[i] = "bulkhead.KeyedConfig." + test.want[i]
		}
		wantFaults(t, err, test.want...)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNewKeyed did not panic")
		}
	}()
	bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{})
}

// TestConfigAccepts what is at the edge, or means none.
func TestConfigAccepts(t *testing.T) {
	for _, c := range []bulkhead.Config{
		{Limit: 1},
		{Limit: 1_000_000, Queue: 1_000_000},
		{Limit: 1, MaxWait: time.Microsecond, Interval: time.Microsecond, Target: time.Microsecond},
		{Limit: 1, Interval: -1},
		{Limit: 1, Rate: rate.Inf},
		{Limit: 1, Rate: rate.Inf, Burst: 1},
		{Limit: 1, Rate: 1e-300, Burst: math.MaxInt32},
		{Adaptive: &bulkhead.Adaptive{}},
		{Limit: 30, Adaptive: &bulkhead.Adaptive{}},
	} {
		b, err := bulkhead.New(c)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if err := b.Run(t.Context(), takes(0)); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []bulkhead.KeyedConfig{
		{Total: 1, MaxKeys: 1, IdleAfter: -1},
		{Config: bulkhead.Config{Limit: 10}, Total: 10},
		{Config: bulkhead.Config{Adaptive: &bulkhead.Adaptive{Max: 10}}, Total: 10},
		{Config: bulkhead.Config{Limit: 10, Adaptive: &bulkhead.Adaptive{Initial: 5}}, Total: 10},
	} {
		if _, err := bulkhead.NewKeyed[string](c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestConfigDefaults: what is not said.
func TestConfigDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2})
		held, why := fillUp(t, b)
		if s := b.Snapshot(); len(held) != 2 || why != bulkhead.ReasonFull || s.QueueLimit != 0 || s.Name != "" {
			t.Errorf("%d places, %v: %+v", len(held), why, s)
		}
		if err := b.Run(t.Context(), takes(0)); refused(t, err).Waited != 0 {
			t.Errorf("%v: it waited", err)
		}

		b = bulkhead.MustNew(bulkhead.Config{Limit: 100, Rate: 2.5}) // Burst: a second's worth, of whole calls
		if held, why := fillUp(t, b); len(held) != 3 || why != bulkhead.ReasonRate {
			t.Errorf("%d calls at once, %v", len(held), why)
		}
		b = bulkhead.MustNew(bulkhead.Config{Limit: 100, Rate: 0.01})
		if held, _ := fillUp(t, b); len(held) != 1 {
			t.Errorf("%d calls at once", len(held))
		}
		b = bulkhead.MustNew(bulkhead.Config{Limit: 100, Rate: rate.Inf, Burst: 1})
		if held, _ := fillUp(t, b); len(held) != 100 {
			t.Errorf("%d calls at once: rate.Inf is no bound", len(held))
		}

		b = bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1}) // MaxWait: for ever
		held, _ = fillUp(t, b)
		result := waits(t.Context(), b)
		time.Sleep(1000 * time.Hour)
		done(held)
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// TestConfigIsCopied: what New was given may be changed afterwards.
func TestConfigIsCopied(t *testing.T) {
	c := bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 3, Max: 3}}
	b := bulkhead.MustNew(c)
	*c.Adaptive = bulkhead.Adaptive{Min: 9, Max: 9, Overloaded: func(error) bool { t.Error("asked"); return true }}
	_ = b.Run(t.Context(), func(context.Context) error { return errShutdown })
	if s := b.Snapshot(); s.Limit != 3 {
		t.Errorf("%+v", s)
	}
}

func TestConfigJSON(t *testing.T) {
	want := bulkhead.KeyedConfig{
		Config: bulkhead.Config{
			Name: "slots", Limit: 64, Queue: 128, MaxWait: 250 * time.Millisecond, Interval: -1, Target: 7 * time.Millisecond,
			Rate: 12.5, Burst: 3, Adaptive: &bulkhead.Adaptive{Min: 2, Max: 50, Initial: 9, Window: time.Second}, ReleaseAtHeader: true, NoSpans: true,
		},
		Total: 256, MaxKeys: 9, IdleAfter: -1,
	}
	const text = `{"name":"slots","limit":64,"queue":128,"max_wait":"250ms","interval":"-1ns","target":"7ms","rate":12.5,"burst":3,` +
		`"adaptive":{"min":2,"max":50,"initial":9,"window":"1s"},"release_at_header":true,"no_spans":true,"total":256,"max_keys":9,"idle_after":"-1ns"}`
	data, err := json.Marshal(want)
	if err != nil || string(data) != text {
		t.Errorf("%s, %v, want\n%s", data, err, text)
	}
	var got bulkhead.KeyedConfig
	if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	var plain bulkhead.Config
	if err := json.Unmarshal([]byte(text), &plain); err == nil || !strings.Contains(err.Error(), "total: no such field") {
		t.Errorf("Total in a Config: %v", err)
	}

	err = json.Unmarshal([]byte(`{"max_wait": 5, "limit": "2", "rate": "fast", "adaptive": {"min": 1.5, "speed": 1}, "total": [], "size": 1}`), &got)
	wantFaults(t, err,
		`max_wait: 5: want a duration such as "5s"`, `limit: "2": want a whole number`, `rate: "fast": want a number`,
		"adaptive.min: 1.5: want a whole number", "adaptive.speed: no such field: want one of min, max, initial, window", "total: []: want a whole number",
		"size: no such field: want one of name, limit, queue, max_wait, interval, target, rate, burst, adaptive, release_at_header, no_spans, total, max_keys, idle_after",
	)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a bad document changed the Config: %+v", got)
	}
}

// TestConfigJSONKeeps what the document does not name, functions first of all.
func TestConfigJSONKeeps(t *testing.T) {
	asked := false
	c := bulkhead.Config{
		Name: "kept", Queue: 5, Exempt: func(*http.Request) bool { return true },
		Adaptive: &bulkhead.Adaptive{Max: 70, Overloaded: func(error) bool { asked = true; return true }},
	}
	if err := json.Unmarshal([]byte(`{"limit": 3, "adaptive": {"min": 2}}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "kept" || c.Limit != 3 || c.Queue != 5 || c.Exempt == nil || c.Adaptive.Min != 2 || c.Adaptive.Max != 70 || c.Adaptive.Overloaded == nil {
		t.Fatalf("%+v, %+v", c, c.Adaptive)
	}
	_ = bulkhead.MustNew(c).Run(t.Context(), func(context.Context) error { return errors.New("slow down") })
	if !asked {
		t.Error("Overloaded was not asked")
	}
	if err := json.Unmarshal([]byte(`{"adaptive": null}`), &c); err != nil || c.Adaptive != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzConfigJSON: what is read can be written, and read again to the same; and what New accepts works.
func FuzzConfigJSON(f *testing.F) {
	f.Add(`{"limit":4,"queue":2,"max_wait":"5s","total":16}`)
	f.Add(`{"adaptive":{"min":2,"max":9,"initial":3},"total":16}`)
	f.Add(`{"adaptive":{},"adaptive":null,"limit":1,"rate":1e-9,"burst":3,"total":1}`)
	f.Add(`{"rate":1.7976931348623157e308,"limit":1,"total":3}`)
	f.Add(`{"interval":"-9223372036854775808ns","target":"1us"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, document string) {
		var c bulkhead.KeyedConfig
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read, but not written: %v", c, err)
		}
		var again bulkhead.KeyedConfig
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v became %+v (%v) by way of %s", c, again, err, data)
		}
		use := func(b *bulkhead.Bulkhead) {
			for range 3 {
				if p, err := b.TryAcquire(); err == nil {
					p.Done(nil)
				} else if !errors.Is(err, bulkhead.ErrFull) || err.(*bulkhead.FullError).RetryAfter() < 0 {
					t.Fatalf("%+v: %v", c, err)
				}
			}
			if s := b.Snapshot(); s.InUse != 0 || s.Successes+s.Refused != 3 {
				t.Fatalf("%+v: %+v", c, s)
			}
		}
		if b, err := bulkhead.New(c.Config); err == nil {
			use(b)
		}
		if k, err := bulkhead.NewKeyed[int](c); err == nil {
			use(k.Get(1))
		}
	})
}

// Config has the defaults in it, and leads to the same once more.
func TestConfigOf(t *testing.T) {
	given := bulkhead.MustNew(bulkhead.Config{Name: "a", Limit: 3, Queue: 2, Rate: 2.5, Interval: -1}).Config()
	again := bulkhead.MustNew(given).Config()
	for _, c := range []bulkhead.Config{given, again} {
		text, err := json.Marshal(c)
		if want := `{"name":"a","limit":3,"queue":2,"interval":"-1ns","rate":2.5,"burst":3}`; err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
	if text, err := json.Marshal((*bulkhead.Bulkhead)(nil).Config()); err != nil || string(text) != "{}" {
		t.Errorf("of a nil one: %s, %v", text, err)
	}
}
