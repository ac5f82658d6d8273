package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// zoo is members that a monkey takes out.
type zoo struct {
	mu    sync.Mutex
	names []string
	out   map[string]bool
	log   []event
}

type event struct {
	at   time.Time
	name string
	back bool
}

func newZoo(names ...string) *zoo { return &zoo{names: names, out: map[string]bool{}} }

func (z *zoo) members() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.names
}

func (z *zoo) takeOut(name string) func() {
	z.mark(name, false)
	return func() { z.mark(name, true) }
}

func (z *zoo) mark(name string, back bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.out[name] != back {
		panic("taken out twice, or put back twice: " + name)
	}
	z.out[name] = !back
	z.log = append(z.log, event{time.Now(), name, back})
}

func (z *zoo) isOut(name string) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.out[name]
}

func (z *zoo) events() []event {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.log)
}

// One at a time, each for as long as it should be, with a rest between, at random, as often as it should be.
func TestMonkey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZoo("a", "b", "c")
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{
			Members: z.members, TakeOut: z.takeOut, Every: time.Hour, OutFor: 5 * time.Minute, Rest: 30 * time.Minute,
		})
		time.Sleep(time.Hour)
		if len(z.events()) != 0 {
			t.Error("it acts before Start")
		}
		m.Start()
		m.Start()
		time.Sleep(2000 * time.Hour)
		m.Close()
		log := z.events()
		taken := map[string]int{}
		var gaps time.Duration
		for i := 0; i+1 < len(log); i += 2 {
			taken[log[i].name]++
			if log[i+1].name != log[i].name || !log[i+1].back || log[i].back {
				t.Fatalf("%v, then %v", log[i], log[i+1])
			}
			if d := log[i+1].at.Sub(log[i].at); d != 5*time.Minute && i+2 < len(log) {
				t.Errorf("out for %v", d)
			}
			if i > 0 {
				gap := log[i].at.Sub(log[i-1].at)
				if gaps += gap; gap < 30*time.Minute {
					t.Errorf("a rest of %v", gap)
				}
			}
		}
		n := float64(len(log) / 2)
		if mean := gaps.Hours() / (n - 1); math.Abs(mean-1.5) > 0.2 {
			t.Errorf("%.2f hours between, want about 1.5", mean)
		}
		for _, name := range z.names {
			if math.Abs(float64(taken[name])-n/3) > n/8 {
				t.Errorf("%v", taken)
			}
		}
		if s := m.Snapshot(); s.Taken != uint64(n) || s.Running || s.Out != "" || s.Skipped != 0 {
			t.Errorf("%+v of %v", s, n)
		}
	})
}

// The same seed takes out the same members at the same times, whatever their order.
func TestMonkeySeed(t *testing.T) {
	run := func(seed uint64, names ...string) (said []string) {
		synctest.Test(t, func(t *testing.T) {
			z := newZoo(names...)
			m := chaos.MustNewMonkey(chaos.MonkeyConfig{Seed: seed, Members: z.members, TakeOut: z.takeOut, Every: time.Hour})
			m.Start()
			time.Sleep(100 * time.Hour)
			m.Close()
			for _, e := range z.events() {
				said = append(said, fmt.Sprint(e.at.Format(time.DateTime), e.name, e.back))
			}
		})
		return said
	}
	first := run(1, "a", "b", "c")
	if again := run(1, "c", "a", "b"); !slices.Equal(first, again) || len(first) < 50 {
		t.Errorf("\n%v\n%v", first, again)
	}
	if other := run(2, "a", "b", "c"); slices.Equal(first, other) {
		t.Error("another seed does the same")
	}
}

// Close puts back who is out, before it returns; and it can be started again.
func TestMonkeyClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZoo("a", "b")
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{Members: z.members, TakeOut: z.takeOut, Every: time.Second, OutFor: 1000 * time.Hour, Rest: time.Minute})
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			m.Start()
			time.Sleep(time.Hour)
			out := m.Snapshot().Out
			if !m.Snapshot().Running || out == "" || !z.isOut(out) {
				t.Errorf("%+v", m.Snapshot())
			}
			m.Close()
			m.Close()
			if s := m.Snapshot(); s.Running || s.Out != "" || z.isOut(out) {
				t.Errorf("%+v", s)
			}
		}
		if log := z.events(); len(log) != 4 {
			t.Errorf("%v", log)
		}
	})
	var none *chaos.Monkey
	none.Start()
	if none.Close() != nil || none.Snapshot() != (chaos.MonkeySnapshot{}) {
		t.Error("a nil Monkey does something")
	}
}

// So many are left as Keep says.
func TestMonkeyKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZoo("a")
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{Members: z.members, TakeOut: z.takeOut, Every: time.Second, OutFor: time.Second})
		m.Start()
		defer m.Close()
		time.Sleep(time.Hour)
		if s := m.Snapshot(); s.Taken != 0 || s.Skipped == 0 {
			t.Errorf("%+v", s)
		}
		z.mu.Lock()
		z.names = []string{"a", "b"}
		z.mu.Unlock()
		time.Sleep(time.Hour)
		if s := m.Snapshot(); s.Taken == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// In the window only, by the clock on the wall of its place, also where that is changed.
func TestMonkeyWindow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones: ", err)
	}
	for _, every := range []time.Duration{10 * time.Minute, 4 * time.Hour, 60 * time.Hour} {
		synctest.Test(t, func(t *testing.T) { // which begins on Saturday, 2000-01-01
			z := newZoo("a", "b", "c")
			m := chaos.MustNewMonkey(chaos.MonkeyConfig{
				Members: z.members, TakeOut: z.takeOut, Every: every, OutFor: time.Minute,
				Window: chaos.Window{From: 9 * time.Hour, Until: 15*time.Hour + 30*time.Minute, Weekdays: true, Location: berlin},
			})
			m.Start()
			time.Sleep(200 * 24 * time.Hour) // over the day in March when the clock is changed
			m.Close()
			n := 0
			for _, e := range z.events() {
				if e.back {
					continue
				}
				n++
				at := e.at.In(berlin)
				clock := at.Hour()*60 + at.Minute()
				if clock < 9*60 || clock >= 15*60+30 || at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
					t.Errorf("taken out on %v", at)
				}
			}
			// 142 days of six and a half hours, less what is spent out and at rest.
			want := 142 * 6.5 / (every.Hours() + 2./60)
			if math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
				t.Errorf("every %v: %d times, want about %.0f", every, n, want)
			}
		})
	}
}

func TestMonkeyLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		z := newZoo("a", "b")
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{
			Name: "users", Members: z.members, TakeOut: z.takeOut, Every: time.Second, OutFor: time.Hour, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		})
		m.Start()
		time.Sleep(time.Minute)
		m.Close()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for i, want := range []string{"the monkey is loose", "taken out on purpose", "put back"} {
			if len(lines) != 3 || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `policy="chaos monkey users"`) {
				t.Fatalf("%q", lines)
			}
		}
	})
}

func TestMonkeyConfig(t *testing.T) {
	_, err := chaos.NewMonkey(chaos.MonkeyConfig{OutFor: -1, Rest: -2, Keep: -3, Window: chaos.Window{From: -1, Until: 25 * time.Hour}})
	wantFaults(t, err,
		`chaos.MonkeyConfig.Members: "nil": want a func`,
		`chaos.MonkeyConfig.TakeOut: "nil": want a func`,
		`chaos.MonkeyConfig.Every: 0s: want at least 1µs`,
		`chaos.MonkeyConfig.OutFor: -1ns: want at least 1µs (default 1m)`,
		`chaos.MonkeyConfig.Rest: -2ns: want at least 1µs (default OutFor)`,
		`chaos.MonkeyConfig.Keep: -3: want at least 1 (default 1)`,
		`chaos.MonkeyConfig.Window.From: -1ns: want at least 0 and less than 24h`,
		`chaos.MonkeyConfig.Window.Until: 25h0m0s: want at least a minute after From and at most 24h (default 24h)`,
	)
	defer func() {
		if recover() == nil {
			t.Error("MustNewMonkey does not panic")
		}
	}()
	chaos.MustNewMonkey(chaos.MonkeyConfig{})
}

func TestMonkeyJSON(t *testing.T) {
	const text = `{"name":"users","seed":1,"every":"4h0m0s","out_for":"5m0s","rest":"1h0m0s","keep":2,` +
		`"window":{"from":"9h0m0s","until":"15h0m0s","weekdays":true,"location":"UTC"}}`
	var c chaos.MonkeyConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.Every != 4*time.Hour || c.Window.Location != time.UTC {
		t.Fatalf("%+v, %v", c, err)
	}
	if data, err := json.Marshal(c); err != nil || string(data) != text {
		t.Errorf("%s, %v", data, err)
	}
	err := json.Unmarshal([]byte(`{"every": 4, "window": {"location": "Nowhere/Else"}}`), &c)
	wantFaults(t, err, `every: 4: want a duration such as "5s"`, `window.location: "Nowhere/Else": want a name such as "Europe/Berlin"`)
}
