package failover_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// model is the ejection and the failback of one level as one would write them down: each target with its times, and nothing
// but calls to learn from.
type model struct {
	config  failover.Config[int]
	start   time.Time
	targets []*modelTarget
	late    uint64
}

type modelTarget struct {
	name      string
	state     failover.State
	since     time.Duration
	until     time.Duration
	ejections int
	row       int // failures
	good      int // trials
	trial     bool
	trialFrom time.Duration
	rest      time.Duration // after a trial was refused: none until then
	underWay  int
}

// modelLease is a call under way, on both.
type modelLease struct {
	failover.Lease[int]
	on    *modelTarget
	began time.Duration
	trial bool
}

func newModel(c failover.Config[int]) *model {
	m := &model{config: c, start: time.Now()}
	for _, t := range c.Targets {
		m.targets = append(m.targets, &modelTarget{name: t.Name})
	}
	return m
}

func (m *model) now() time.Duration { return time.Since(m.start) }

func (m *model) ready() (n int) {
	for _, t := range m.targets {
		if t.state == failover.Healthy {
			n++
		}
	}
	return n
}

func (m *model) panics() bool {
	ready, n := m.ready(), len(m.targets)
	if m.config.PanicBelow < 0 {
		return false
	}
	return ready == 0 || m.config.Balance != failover.Ordered && float64(ready) < m.config.PanicBelow*float64(n) && 1.4*float64(ready) < float64(n)
}

// isWell reports whether some target is, as far as is known.
func (m *model) isWell() bool {
	limit := m.config.ConsecutiveFailures
	if limit < 0 {
		limit = 5
	}
	return slices.ContainsFunc(m.targets, func(t *modelTarget) bool { return t.state == failover.Healthy && t.row < limit })
}

// passes ends ejections that are over.
func (m *model) passes() {
	for _, t := range m.targets {
		if t.state == failover.Ejected && m.now() >= t.until {
			m.becomes(t, failover.Probing)
		}
	}
}

func (m *model) becomes(t *modelTarget, s failover.State) { t.state, t.since = s, m.now() }

// begins is what a call must get: the one whose turn for a trial it is, or one of these.
func (m *model) begins() (trial *modelTarget, others []*modelTarget) {
	for _, t := range m.targets {
		if t.state == failover.Probing && (!t.trial || m.now()-t.trialFrom >= 30*time.Second) && (m.now() >= t.rest || m.ready() == 0) {
			return t, nil
		}
		if t.state == failover.Healthy || m.panics() {
			others = append(others, t)
		}
	}
	return nil, others
}

func (m *model) hold(n int) time.Duration {
	return time.Duration(min(float64(m.config.EjectFor)*math.Pow(2, float64(n-1)), float64(m.config.MaxEjectFor)))
}

func (m *model) eject(t *modelTarget) {
	if t.state == failover.Healthy {
		for well := m.now() - t.since; t.ejections > 0 && well >= m.hold(t.ejections); t.ejections-- {
			well -= m.hold(t.ejections)
		}
	}
	if t.ejections == 0 || m.hold(t.ejections) < m.config.MaxEjectFor {
		t.ejections++
	}
	t.good, t.until = 0, m.now()+m.hold(t.ejections)
	m.becomes(t, failover.Ejected)
}

func (m *model) mayEject() bool {
	out := len(m.targets) - m.ready()
	return out == 0 || float64(out) < m.config.MaxEjected*float64(len(m.targets))
}

// ends takes the result of a call.
func (m *model) ends(l modelLease, err error) {
	t := l.on
	t.underWay--
	if l.trial && l.began >= t.trialFrom {
		t.trial = false
	}
	if l.trial && err == errRefusal {
		t.rest = m.now() + m.config.EjectFor/10
	}
	switch {
	case err == errCancelled || err == errRefusal:
	case l.began < t.since:
		m.late++
	case err == nil:
		m.good(t, l.trial)
	default:
		m.bad(t, l.trial)
	}
}

func (m *model) good(t *modelTarget, trial bool) {
	t.row = 0
	if t.state == failover.Healthy {
		return
	}
	if trial && m.isWell() {
		t.good++
	}
	if !m.isWell() || trial && t.good >= m.config.GoodProbes {
		m.becomes(t, failover.Healthy)
	}
}

func (m *model) bad(t *modelTarget, trial bool) {
	t.row++
	switch limit := m.config.ConsecutiveFailures; {
	case t.state == failover.Probing && trial:
		m.eject(t)
	case t.state == failover.Healthy && limit > 0 && t.row%limit == 0 && m.mayEject():
		m.eject(t)
	}
	if t.state != failover.Healthy {
		t.row = 0 // it begins anew when it is back
	}
}

// compare says where the group differs.
func (m *model) compare(g *failover.Group[int]) error {
	s := g.Snapshot()
	if s.Late != m.late || s.Panic != (m.panics() && 1.4*float64(m.ready()) < float64(len(m.targets))) {
		return fmt.Errorf("late %d, panic %v; want %d, %v", s.Late, s.Panic, m.late, m.panics())
	}
	for i, t := range m.targets {
		got := s.Targets[i]
		want := failover.TargetSnapshot{
			Name: t.name, Weight: 1, State: t.state, Since: m.start.Add(t.since), Ejections: t.ejections, InFlight: t.underWay,
			Why: got.Why, Successes: got.Successes, Failures: got.Failures, LastError: got.LastError, Latency: got.Latency,
		}
		if t.state == failover.Ejected {
			want.Until = m.start.Add(t.until)
		}
		if got != want {
			return fmt.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	return nil
}

// checkModel runs the operations coded in ops on both, and compares after each. The first bytes say how they are set.
func checkModel(ops []byte) error {
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		b := ops[0]
		ops = ops[1:]
		return int(b)
	}
	c := failover.Config[int]{
		Targets: targets(1 + next()%4), Balance: balances[next()%4],
		ConsecutiveFailures: []int{1, 2, 3, -1}[next()%4], GoodProbes: 1 + next()%3,
		MaxEjected: []float64{0.3, 0.5, 1}[next()%3], PanicBelow: []float64{-1, 0.3, 0.7}[next()%3],
		EjectFor: time.Second, MaxEjectFor: []time.Duration{time.Second, 6 * time.Second, 10 * time.Second}[next()%3],
		SlowStart: []time.Duration{-1, 3 * time.Second}[next()%2], FailureMargin: -1, SlowFactor: -1,
	}
	g, m := failover.MustNew(c), newModel(c)
	var open []modelLease
	for i := 0; len(ops) > 0; i++ {
		op, arg := next()%8, next()
		switch {
		case op < 2:
			time.Sleep(time.Duration(arg) * 10 * time.Millisecond)
		case op < 5 && len(open) < 8 || len(open) == 0:
			l, err := begin(g, m)
			if err != nil {
				return fmt.Errorf("operation %d: %w", i, err)
			}
			if l.on != nil {
				open = append(open, l)
			}
		default:
			at := arg % len(open)
			l, err := open[at], []error{nil, errDown, errDown, nil, errDown, errCancelled, errRefusal}[arg/8%7]
			open = append(open[:at], open[at+1:]...)
			l.Done(err)
			m.ends(l, err)
		}
		m.passes()
		if err := m.compare(g); err != nil {
			return fmt.Errorf("after operation %d (%d, %d) at %v: %w", i, op, arg, m.now(), err)
		}
	}
	return nil
}

// begin begins a call on both.
func begin(g *failover.Group[int], m *model) (modelLease, error) {
	m.passes()
	trial, others := m.begins()
	l, err := g.Pick(background)
	if err != nil {
		if trial != nil || len(others) > 0 || !errors.Is(err, failover.ErrNoTarget) {
			return modelLease{}, err
		}
		return modelLease{}, nil
	}
	on := m.targets[l.Value]
	allowed := on == trial
	for _, t := range others {
		allowed = allowed || t == on
	}
	if !allowed {
		return modelLease{}, fmt.Errorf("it got %s, which is %v", l.Name, on.state)
	}
	on.underWay++
	if trial != nil {
		on.trial, on.trialFrom = true, m.now()
	}
	return modelLease{l, on, m.now(), trial != nil}, nil
}

func TestModel(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() || raceEnabled {
		seeds = 300
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 5))
		ops := make([]byte, 600)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{1, 1, 1, 1, 1, 1, 1, 1, 2, 0, 7, 8, 2, 0, 7, 8, 2, 0, 7, 8, 0, 255, 2, 0, 7, 0})
	f.Add([]byte("three targets, and whatever these letters are"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		ops = ops[:min(len(ops), 4000)]
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(ops); err != nil {
				t.Fatal(err)
			}
		})
	})
}
