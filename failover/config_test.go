package failover_test

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

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
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

func good(context.Context, int) error { return nil }

// TestConfigFaults: every fault is in the one error, with the field, its value and what would be right.
func TestConfigFaults(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		config failover.Config[int]
		want   []string
	}{
		{failover.Config[int]{}, []string{"Targets: 0: want at least one target, or a Resolve that finds them"}},
		{
			failover.Config[int]{Targets: []failover.Target[int]{
				{Name: "a", Weight: -1},
				{Name: "a", Priority: -1},
				{},
				{Name: "b", Weight: nan},
				{Name: "b", Weight: math.Inf(1)},
				{},
			}},
			[]string{
				"Targets[0].Weight: -1: want above zero (0 is 1)",
				`Targets[1].Name: "a": want another name than that of Targets[0]`,
				"Targets[1].Priority: -1: want 0 or more",
				`Targets[2].Name: "": want a name`,
				"Targets[3].Weight: NaN: want above zero (0 is 1)",
				`Targets[4].Name: "b": want another name than that of Targets[3]`,
				"Targets[4].Weight: +Inf: want above zero (0 is 1)",
				`Targets[5].Name: "": want a name`,
			},
		},
		{
			failover.Config[int]{
				Targets: targets(1), Balance: 4, Overprovisioning: 0.9, MaxTries: -1, AttemptTimeout: -2, ResolveEvery: -3,
				Window: 3 * time.Millisecond, MinCalls: -4, FailureMargin: 1.1, SlowFactor: 1, Suspicion: -5, MaxEjected: 1.2,
				PanicBelow: 1.3, EjectFor: -6, MaxEjectFor: -7, GoodProbes: -8, ProbeInterval: -9, ProbeTimeout: -10, BadProbes: -11,
			},
			[]string{
				"Balance: 4: want Ordered, RoundRobin, LeastLoaded or PeakEWMA",
				"Overprovisioning: 0.9: want at least 1 (default 1.4)",
				"MaxTries: -1: want at least 1 (default 3)",
				"AttemptTimeout: -2ns: want above zero, or zero for none",
				"ResolveEvery: -3ns: want above zero (default 30s)",
				"ResolveEvery: -3ns: want zero without a Resolve",
				"Window: 3ms: want from 4ms to 10m (default 10s)",
				"MinCalls: -4: want at least 1 (default 20)",
				"FailureMargin: 1.1: want a share such as 0.3, or below zero for none",
				"SlowFactor: 1: want above 1 (default 3), or below zero for none",
				"Suspicion: -5: want above zero, such as 8, or zero for none",
				"MaxEjected: 1.2: want a share above 0 and at most 1 (default 0.5)",
				"PanicBelow: 1.3: want a share, at most 1 (default 0.3), or below zero for never",
				"EjectFor: -6ns: want above zero (default 5s)",
				"MaxEjectFor: -7ns: want above zero (default 1m, or EjectFor if that is longer)",
				"GoodProbes: -8: want at least 1 (default 3)",
				"ProbeInterval: -9ns: want above zero (default 5s)",
				"ProbeTimeout: -10ns: want above zero (default 1s)",
				"BadProbes: -11: want at least 1 (default 2)",
				"Probe: <nil>: want a function, as ProbeInterval is set",
			},
		},
		{
			failover.Config[int]{Targets: targets(1), Overprovisioning: nan, FailureMargin: nan, SlowFactor: nan, Suspicion: nan, MaxEjected: nan, PanicBelow: nan},
			[]string{
				"Overprovisioning: NaN: want at least 1 (default 1.4)",
				"FailureMargin: NaN: want a share such as 0.3, or below zero for none",
				"SlowFactor: NaN: want above 1 (default 3), or below zero for none",
				"Suspicion: NaN: want above zero, such as 8, or zero for none",
				"MaxEjected: NaN: want a share above 0 and at most 1 (default 0.5)",
				"PanicBelow: NaN: want a share, at most 1 (default 0.3), or below zero for never",
			},
		},
		{
			failover.Config[int]{Targets: targets(1), EjectFor: time.Minute, MaxEjectFor: time.Second, BadProbes: 1},
			[]string{"EjectFor: 1m0s: want at most MaxEjectFor (1s)", "Probe: <nil>: want a function, as BadProbes is set"},
		},
		{
			failover.Config[int]{Targets: targets(1), ProbeTimeout: 1, ResolveEvery: 1},
			[]string{"ResolveEvery: 1ns: want zero without a Resolve", "Probe: <nil>: want a function, as ProbeTimeout is set"},
		},
	} {
		_, err := failover.New(test.config)
		for i := range test.want {
			test.want[i] = "failover.Config." + test.want[i]
		}
		wantFaults(t, err, test.want...)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "MaxTries: -1") {
			t.Errorf("MustNew panicked with %v, want the error", err)
		}
	}()
	failover.MustNew(failover.Config[int]{Targets: targets(1), MaxTries: -1})
}

// TestConfigAccepts what is at the edge, or means none.
func TestConfigAccepts(t *testing.T) {
	const ever = math.MaxInt64
	for i, c := range []failover.Config[int]{
		{Targets: []failover.Target[int]{{Name: "a", Weight: 1e-300}, {Name: "b", Weight: math.MaxFloat64}, {Name: "c", Weight: math.MaxFloat64, Priority: 1 << 40}}},
		{Resolve: func(context.Context) ([]failover.Target[int], error) { return targets(1), nil }, ResolveEvery: 1},
		{Targets: targets(2), Overprovisioning: 1e300, MaxEjected: 1, PanicBelow: 1, FailureMargin: 1, SlowFactor: math.MaxFloat64, Suspicion: 1e-300},
		{Targets: targets(2), ConsecutiveFailures: -1, FailureMargin: -1, SlowFactor: -1, PanicBelow: -1, SlowStart: -1},
		{Targets: targets(2), ConsecutiveFailures: math.MinInt, FailureMargin: math.Inf(-1), SlowFactor: math.Inf(-1), PanicBelow: math.Inf(-1)},
		{Targets: targets(2), EjectFor: ever, SlowStart: ever, AttemptTimeout: ever},
		{Targets: targets(2), EjectFor: time.Hour},
		{Targets: targets(2), MaxEjectFor: time.Second},
		{Targets: targets(2), Probe: good, ProbeInterval: ever, ProbeTimeout: ever},
		{Targets: targets(2), Probe: good, ProbeInterval: 1, ProbeTimeout: ever},
	} {
		g, err := failover.New(c)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		use(t, g)
	}
}

// use has a group eject a target, and live on.
func use(t *testing.T, g *failover.Group[int]) {
	t.Helper()
	for i := range 100 {
		err := g.Run(t.Context(), func(context.Context, int) error {
			if i < 50 {
				return errDown
			}
			return nil
		})
		if i > 50 && err != nil && !errors.Is(err, failover.ErrNoTarget) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if s := g.Snapshot(); s.Calls != 100 || s.Targets[0].InFlight != 0 {
		t.Errorf("%+v", s)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// TestConfigForEver: the longest times are long, and do not come out short.
func TestConfigForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ever = math.MaxInt64
		time.Sleep(time.Hour)
		var p probed
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), EjectFor: ever, SlowStart: ever})
		time.Sleep(time.Hour)
		eject(t, g, 0)
		time.Sleep(time.Hour)
		if s := stateOf(g, "t0"); s != failover.Ejected {
			t.Error(s)
		}
		g = failover.MustNew(failover.Config[int]{Targets: targets(1), Probe: p.probe, ProbeInterval: ever, ProbeTimeout: ever})
		time.Sleep(time.Hour)
		if n := len(p.times(0)); n > 0 {
			t.Errorf("%d probes", n)
		}
		g.Close()
	})
}

// TestConfigDefaults: what is not said, as far as it is to be seen from outside.
func TestConfigDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := failover.Config[int]{Targets: targets(6), EjectFor: time.Second * 5 / 2}
		for _, row := range []struct {
			eject, most time.Duration
			want        [7]time.Duration // holds in a row
		}{
			{0, 0, [7]time.Duration{5, 10, 20, 40, 60, 60, 60}},
			{0, 3 * time.Second, [7]time.Duration{3, 3, 3, 3, 3, 3, 3}},
			{90 * time.Second, 0, [7]time.Duration{90, 90, 90, 90, 90, 90, 90}},
			{time.Second, 6 * time.Second, [7]time.Duration{1, 2, 4, 6, 6, 6, 6}},
		} {
			c.EjectFor, c.MaxEjectFor = row.eject, row.most
			g := failover.MustNew(c)
			for i, want := range row.want {
				tries, up := 0, 0
				for g.Snapshot().Targets[0].State != failover.Ejected {
					_ = g.Run(t.Context(), func(_ context.Context, i int) error {
						tries++
						if i == 0 {
							return errDown
						}
						up++
						return nil
					})
				}
				s := targetOf(g, "t0")
				if hold := time.Until(s.Until); hold != want*time.Second || i == 0 && up != 5 || i > 0 && up != 1 {
					t.Errorf("%v, %v: hold %d is %v, want %v s, after %d calls", row.eject, row.most, i, hold, want, up)
				}
				time.Sleep(time.Until(s.Until))
			}
		}
	})
}

// TestEjectionsAreForgotten: after a long time down a target needs no longer to be trusted than the cap says.
func TestEjectionsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(2), GoodProbes: 1})
		down := true
		call := func() {
			_ = g.Run(t.Context(), func(_ context.Context, i int) error {
				if i == 0 && down {
					return errDown
				}
				return nil
			})
		}
		for began := time.Now(); time.Since(began) < 10*time.Hour; time.Sleep(time.Second) {
			call()
		}
		if s := targetOf(g, "t0"); s.Ejections > 5 {
			t.Errorf("%+v", s)
		}
		down = false
		for began := time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(time.Second) {
			call()
		}
		down = true
		for range 10 {
			call()
		}
		if s := targetOf(g, "t0"); s.State != failover.Ejected || s.Until.Sub(s.Since) != 5*time.Second {
			t.Errorf("a new ejection, five minutes after the last: %+v", s)
		}
	})
}

// TestConfigIsCopied: what New was given may be changed afterwards.
func TestConfigIsCopied(t *testing.T) {
	c := failover.Config[int]{Targets: targets(1)}
	g := failover.MustNew(c)
	c.Targets[0].Value = 9
	if v, err := whichOf(t.Context(), g); v != 0 || err != nil {
		t.Error(v, err)
	}
}

const configText = `{"name":"users","balance":"peak_ewma","overprovisioning":1.5,"max_tries":2,"attempt_timeout":"1s","resolve_every":"1m0s",` +
	`"consecutive_failures":-1,"window":"20s","min_calls":50,"failure_margin":0.2,"slow_factor":-1,"suspicion":8,"max_ejected":0.25,` +
	`"panic_below":0.5,"eject_for":"10s","max_eject_for":"5m0s","good_probes":1,"slow_start":"-1ns","probe_interval":"2s",` +
	`"probe_timeout":"500ms","bad_probes":3,"keep_host":true,"no_attempt_spans":true}`

func TestConfigJSON(t *testing.T) {
	want := failover.Config[string]{
		Name: "users", Balance: failover.PeakEWMA, Overprovisioning: 1.5, MaxTries: 2, AttemptTimeout: time.Second, ResolveEvery: time.Minute,
		ConsecutiveFailures: -1, Window: 20 * time.Second, MinCalls: 50, FailureMargin: 0.2, SlowFactor: -1, Suspicion: 8, MaxEjected: 0.25,
		PanicBelow: 0.5, EjectFor: 10 * time.Second, MaxEjectFor: 5 * time.Minute, GoodProbes: 1, SlowStart: -1, ProbeInterval: 2 * time.Second,
		ProbeTimeout: 500 * time.Millisecond, BadProbes: 3, KeepHost: true, NoAttemptSpans: true,
	}
	data, err := json.Marshal(want)
	if err != nil || string(data) != configText {
		t.Errorf("%s, %v, want\n%s", data, err, configText)
	}
	var got failover.Config[string]
	if err := json.Unmarshal([]byte(configText), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	err = json.Unmarshal([]byte(`{"window": 5, "min_calls": "2", "balance": "fastest", "keep_host": 1, "targets": []}`), &got)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range []string{`window: 5: want a duration`, `min_calls: "2": want a whole number`, "balance", "keep_host", "targets: no such field"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q:\n%v", w, err)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a bad document changed the Config: %+v", got)
	}
}

// TestConfigJSONKeeps what the document does not name, functions and targets first of all.
func TestConfigJSONKeeps(t *testing.T) {
	c := failover.Config[int]{Name: "kept", Targets: targets(2), Probe: good, RequestKey: func(*http.Request) string { return "" }}
	if err := json.Unmarshal([]byte(`{"max_tries": 5}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.Name != "kept" || c.MaxTries != 5 || len(c.Targets) != 2 || c.Probe == nil || c.RequestKey == nil {
		t.Errorf("%+v", c)
	}
}

func TestBalanceText(t *testing.T) {
	for _, b := range balances {
		text, err := b.MarshalText()
		var again failover.Balance
		if err != nil || again.UnmarshalText(text) != nil || again != b || string(text) != b.String() {
			t.Errorf("%v, %s, %v", b, text, again)
		}
	}
	if s := failover.Balance(9).String(); s != "Balance(9)" {
		t.Error(s)
	}
}

// FuzzConfigJSON: what is read can be written, and read again to the same; and what New accepts works.
func FuzzConfigJSON(f *testing.F) {
	f.Add(configText)
	f.Add(`{"eject_for":"2562047h47m16.854775807s","overprovisioning":1e300,"panic_below":-1}`)
	f.Add(`{"balance":"round_robin","window":"4ms","min_calls":1,"consecutive_failures":9223372036854775807}`)
	f.Add(`{"balance":"least_loaded","slow_factor":1.7976931348623157e308,"failure_margin":1e-300,"min_calls":1}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, document string) {
		var c failover.Config[int]
		if json.Unmarshal([]byte(document), &c) != nil {
			return
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v was read, but not written: %v", c, err)
		}
		var again failover.Config[int]
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v became %+v (%v) by way of %s", c, again, err, data)
		}
		c.Targets = targets(3)
		if c.ProbeInterval != 0 || c.ProbeTimeout != 0 || c.BadProbes != 0 {
			c.Probe = good
		}
		c.ResolveEvery, c.AttemptTimeout = 0, 0
		if g, err := failover.New(c); err == nil {
			use(t, g)
		}
	})
}

// A nil pointer for a Budget is a fault at once, not a panic with the first that asks it.
func TestNilBudget(t *testing.T) {
	if _, err := failover.New(failover.Config[int]{Targets: targets(1), Budget: (*retry.Budget)(nil)}); err == nil || !strings.Contains(err.Error(), `Budget: "a nil pointer": want a budget, or nothing at all`) {
		t.Error(err)
	}
}
