package contract_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/contract"
	"github.com/holdfast-go/holdfast/retry"
)

func TestFailover(t *testing.T) { contract.Run(t, failoverPolicy()) }

// The same with each other way to choose, and with one that may have no target left, as far as that can make a difference.
func TestFailoverVariants(t *testing.T) {
	variants := map[string]func(*groupConfig){
		"none left": func(c *groupConfig) { c.MaxEjected, c.PanicBelow = 1, -1 },
	}
	for _, b := range []failover.Balance{failover.RoundRobin, failover.LeastLoaded, failover.PeakEWMA} {
		variants[b.String()] = func(c *groupConfig) { c.Balance = b }
	}
	for name, edit := range variants {
		p := failoverPolicy()
		p.Name += ", " + name
		p.Variant, p.Brief = true, true
		p.Only = []contract.Row{
			contract.EndsDuring, contract.Cancelled, contract.RefusedBelow, contract.Panics, contract.Goexits, contract.Late,
			contract.DoneTwice, contract.AllFail, contract.Thousand, contract.NoAllocation,
		}
		p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
			return groupInstance(newGroup(t, s, func(c *groupConfig) {
				if name != "none left" || s.Busy { // the setups of others have a say in that
					edit(c)
				}
			}))
		}
		t.Run(name, func(t *testing.T) { contract.Run(t, p) })
	}
}

// The same below hedges that really happen: attempts beside each other, of which one is left.
func TestFailoverBelowHedges(t *testing.T) {
	for _, order := range [][]string{{"hedge", "failover"}, {"retry", "hedge", "failover", "breaker", "bulkhead"}} {
		p := stackPolicy(order, false)
		p.Brief, p.Only = true, besides
		p.New = func(t testing.TB, s contract.Setup) *contract.Instance {
			layers := layersOf(t, order, s, false)
			i := slices.Index(order, "hedge")
			layers[i] = hedgeAsLayer(newHedge(t, s, func(c *hedge.Config) { c.Delay = -1 }))
			return stack(layers)
		}
		t.Run(p.Name, func(t *testing.T) { contract.Run(t, p) })
	}
}

// What has failed at all targets is repeated by a retry above, for it has not been tried to the end; unless a retry below has
// done so.
func TestFailoverBetweenRetries(t *testing.T) {
	for _, test := range []struct {
		below []string
		want  int
	}{
		{nil, 3 * targets},
		{[]string{"breaker", "bulkhead"}, 3 * targets},
		{[]string{"retry"}, 3 * targets},
		{[]string{"retry", "breaker"}, 3 * targets},
		{[]string{"hedge", "retry"}, 3 * targets},
	} {
		order := append([]string{"retry", "failover"}, test.below...)
		for i := range stack(layersOf(t, order, contract.Setup{}, false)).Doors {
			door, ran := stack(layersOf(t, order, contract.Setup{}, false)).Doors[i], 0
			if _, err := door.Call(t.Context(), func(context.Context) (int, error) { ran++; return 5, errDependency }); !errors.Is(err, errDependency) {
				t.Errorf("%v, %s: %v", order, door.Name, err)
			}
			if ran != test.want {
				t.Errorf("%v, %s: fn ran %d times, want %d", order, door.Name, ran, test.want)
			}
		}
	}
}

const (
	failoverLabel = "failover orders"
	targets       = 3
	ejectFor      = time.Second
	maxEjectFor   = 4 * time.Second
)

type (
	groupConfig = failover.Config[*url.URL]
	urlGroup    = failover.Group[*url.URL]
)

func failoverPolicy() contract.Policy {
	return contract.Policy{
		Name: "failover",
		New: func(t testing.TB, s contract.Setup) *contract.Instance {
			return groupInstance(newGroup(t, s, nil))
		},
		Nil:       func() []contract.Door { return groupDoors(nil) },
		Callbacks: failoverCallbacks(func(_ testing.TB, g *grouped) *contract.Instance { return groupInstance(g) }),
		Differs:   failoverDiffers,
	}
}

// grouped is a group as the suite looks at it.
type grouped struct {
	*urlGroup
	budget *retry.Budget
	trial  bool // its one target is to be tried

	good, bad atomic.Uint64 // calls that brought a state about, and are none of the suite's
}

// newGroup makes a group to a setup. All targets are at one place, as the host of the suite is one; those that are down get no
// calls, so that a group can refuse some. edit, if not nil, has the last word.
func newGroup(t testing.TB, s contract.Setup, edit func(*groupConfig)) *grouped {
	t.Helper()
	g := &grouped{trial: s.OnePlace, budget: newBudget(t, s.Poor)}
	c := groupConfig{
		Name: "orders", Targets: targetsOver("http"), MaxTries: s.Attempts, AttemptTimeout: s.AttemptTimeout, Budget: g.budget,
		ConsecutiveFailures: 30, EjectFor: ejectFor, MaxEjectFor: maxEjectFor, GoodProbes: 1, SlowStart: -1,
		MaxEjected: 1, PanicBelow: -1,
	}
	switch {
	case s.Busy: // targets go and come back all the time, for each of the reasons that there are
		c.ConsecutiveFailures, c.EjectFor, c.MaxEjectFor, c.SlowStart = 3, 2*time.Millisecond, 4*time.Millisecond, time.Millisecond
		c.Window, c.MinCalls, c.Suspicion = 4*time.Millisecond, 5, 1
		c.GoodProbes, c.MaxEjected, c.PanicBelow, c.Budget = 2, 0, 0, nil
	case s.Wait > 0: // what fails is followed by a wait, if by anything: of a retry
		c.FailoverIf = func(error) bool { return false }
	case s.OnePlace:
		c.Targets, c.ConsecutiveFailures = c.Targets[:1], 1
		if s.Attempts == 1 { // other calls go there too, so that its state can move on under the trial
			c.PanicBelow = 0
		}
	}
	if edit != nil {
		edit(&c)
	}
	var err error
	if g.urlGroup, err = failover.New(c); err != nil {
		t.Fatal(err)
	}
	if s.OnePlace {
		g.eject()
		time.Sleep(c.EjectFor)
	}
	return g
}

// newBudget is one that is full, and without a floor; a poor one has nothing but that.
func newBudget(t testing.TB, poor bool) *retry.Budget {
	t.Helper()
	bc := retry.BudgetConfig{Capacity: 100, Floor: -1}
	if poor {
		bc = retry.BudgetConfig{Capacity: 1}
	}
	b, err := retry.NewBudget(bc)
	if err != nil {
		t.Fatal(err)
	}
	if poor {
		b.Withdraw()
	}
	return b
}

func targetsOver(scheme string) (ts []failover.Target[*url.URL]) {
	for _, name := range []string{"a", "b", "c"}[:targets] {
		ts = append(ts, failover.Target[*url.URL]{
			Name: name, Value: &url.URL{Scheme: scheme, Host: contract.Host, Path: "/" + name},
		})
	}
	return ts
}

// eject has all targets fail until they are left alone.
func (g *grouped) eject() {
	for strings.Contains(g.state(), "healthy") {
		lease, err := g.Pick(context.Background())
		if err != nil {
			return
		}
		g.bad.Add(1)
		lease.Done(errDependency)
	}
}

// moveOn changes the state of all targets under calls that are under way. Those must have begun before: in a bubble the clock
// stands still.
func (g *grouped) moveOn() {
	time.Sleep(time.Microsecond)
	if !g.trial {
		g.eject()
		return
	}
	if lease, err := g.Pick(context.Background()); err == nil { // it is well after all
		g.good.Add(1)
		lease.Done(nil)
	}
}

func (g *grouped) state() string {
	var s []string
	for _, t := range g.Snapshot().Targets {
		s = append(s, t.State.String())
	}
	return strings.Join(s, " ")
}

func (g *grouped) books() contract.Books {
	s := g.Snapshot()
	return contract.Books{
		Successes: s.Successes - g.good.Load(), Failures: s.Failures - g.bad.Load(),
		Ignored: s.Ignored, Refused: s.Refused, Late: s.Late,
	}
}

// underWay is how many attempts the targets have to do with.
func (g *grouped) underWay() (n int) {
	for _, t := range g.Snapshot().Targets {
		n += t.InFlight
	}
	return n
}

func groupInstance(g *grouped) *contract.Instance {
	return &contract.Instance{
		Doors: groupDoors(g.urlGroup), Layers: []contract.Layer{groupLayer(g)}, Attempts: targets, Recovery: maxEjectFor,
		State: g.state, MoveOn: g.moveOn,
		Take: func() (done, copied func(error), err error) {
			lease, err := g.Pick(context.Background())
			another := lease
			return lease.Done, another.Done, err
		},
		Transport: func(next http.RoundTripper) http.RoundTripper { return groupTransport(g.urlGroup, next) },
	}
}

func groupLayer(g *grouped) contract.Layer {
	return contract.Layer{
		Label: failoverLabel, Books: g.books, Places: g.underWay, Tokens: g.budget.Available,
		Refusal: contract.Books{Failures: 1},
	}
}

// groupTransport is the Transport of a group whose targets are where the request goes to anyway: only then is it known whether
// that is over TLS.
func groupTransport(g *urlGroup, next http.RoundTripper) http.RoundTripper {
	rt := failover.Transport(g, next)
	if g == nil {
		return rt
	}
	return located{rt, g}
}

type located struct {
	http.RoundTripper
	group *urlGroup
}

func (l located) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		if err := l.group.Update(targetsOver("https")); err != nil {
			return nil, err
		}
	}
	return l.RoundTripper.RoundTrip(req)
}

func groupDoors(g *urlGroup) []contract.Door {
	wrapped := failover.Wrap(g, func(ctx context.Context, _ *url.URL, fn contract.Func) (int, error) { return fn(ctx) })
	doors := []contract.Door{
		{
			Name: "Do",
			Call: func(ctx context.Context, fn contract.Func) (int, error) {
				return failover.Do(ctx, g, func(ctx context.Context, _ *url.URL) (int, error) { return fn(ctx) })
			},
			NilFunc: func(ctx context.Context) error {
				_, err := failover.Do[*url.URL, int](ctx, g, nil)
				return err
			},
		},
		{
			Name: "Wrap", Call: wrapped, AtConstruction: true,
			NilFunc: func(context.Context) error { failover.Wrap[*url.URL, int, int](g, nil); return nil },
		},
		{
			Name: "Run",
			Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
				err = g.Run(ctx, func(ctx context.Context, _ *url.URL) (err error) { v, err = fn(ctx); return err })
				return v, err
			},
			NilFunc: func(ctx context.Context) error { return g.Run(ctx, nil) },
		},
		pickDoor(g),
		contract.TransportDoor(func(next http.RoundTripper) http.RoundTripper { return groupTransport(g, next) }),
	}
	doors[len(doors)-1].Differs = transportDiffers
	return doors
}

// pickDoor uses the primitive as is advised for all of them: Done is deferred, with an error for the case that the work never
// returns.
func pickDoor(g *urlGroup) contract.Door {
	return contract.Door{
		Name: "Pick",
		Call: func(ctx context.Context, fn contract.Func) (v int, err error) {
			lease, err := g.Pick(ctx)
			if err != nil {
				return 0, err
			}
			result := errAborted
			defer func() { lease.Done(result) }()
			v, err = fn(ctx)
			result = err
			return v, err
		},
		Differs: pickDiffers,
	}
}

// failoverCallbacks are all of the user's code that a group runs, and whose panic has a caller to reach: not Probe, nor a
// Resolve beside the calls. instance makes the instance around the group.
func failoverCallbacks(instance func(testing.TB, *grouped) *contract.Instance) []contract.Callback {
	callback := func(name string, setup contract.Setup, result error, edit func(c *groupConfig, hook func())) contract.Callback {
		cb := contract.Callback{
			Name: "failover " + name, Err: result,
			New: func(t testing.TB, hook func()) *contract.Instance {
				made := false // how a setup begins, OnChange is told of too
				g := newGroup(t, setup, func(c *groupConfig) {
					edit(c, func() {
						if made {
							hook()
						}
					})
				})
				made = true
				return instance(t, g)
			},
		}
		if result != nil {
			cb.Status = http.StatusServiceUnavailable
		}
		return cb
	}
	changes := func(to failover.State) func(*groupConfig, func()) {
		return func(c *groupConfig, hook func()) {
			c.ConsecutiveFailures = 1
			c.OnChange = func(e failover.Event) {
				if e.To == to {
					hook()
				}
			}
		}
	}
	logged := func(level slog.Level) func(*groupConfig, func()) {
		return func(c *groupConfig, hook func()) {
			c.ConsecutiveFailures = 1
			c.Logger = logger(level, hook)
		}
	}
	plain, trial := contract.Setup{}, contract.Setup{OnePlace: true}
	counts := func(c *groupConfig, hook func()) { c.CountIf = func(error) bool { hook(); return true } }
	deposits := func(c *groupConfig, hook func()) { c.Budget = hookedBudget{Budget: c.Budget, deposit: hook} }

	moves := callback("FailoverIf", plain, errDependency, func(c *groupConfig, hook func()) {
		c.FailoverIf = func(error) bool { hook(); return true }
	})
	withdraws := callback("Budget.Withdraw", plain, errDependency, func(c *groupConfig, hook func()) {
		c.Budget = hookedBudget{Budget: c.Budget, withdraw: hook}
	})
	for _, cb := range []*contract.Callback{&moves, &withdraws} { // there is one target to a Pick
		cb.Doors = []string{"Do", "Wrap", "Run", "Transport"}
	}

	// What is asked about a request before it is a call of the group's.
	key := callback("RequestKey", plain, errDependency, func(c *groupConfig, hook func()) {
		c.RequestKey = func(*http.Request) string { hook(); return "key" }
	})
	repeat := callback("RepeatRequest", plain, errDependency, func(c *groupConfig, hook func()) {
		c.RepeatRequest = func(*http.Request) bool { hook(); return true }
	})
	for _, cb := range []*contract.Callback{&key, &repeat} {
		cb.Doors = []string{"Transport"}
		cb.Before = func(l contract.Layer) bool { return l.Label == failoverLabel }
	}

	judged := new(asked)
	is := callback("an error's Is", plain, judged, func(_ *groupConfig, hook func()) { judged.hook = hook })
	is.Status = 0
	return []contract.Callback{
		moves, withdraws, key, repeat, is,
		callback("CountIf", plain, errDependency, counts),
		callback("CountIf, of a trial", trial, errDependency, counts),
		callback("Budget.Deposit", plain, nil, deposits),
		callback("Budget.Deposit, of a trial", trial, nil, deposits),
		callback("OnChange, ejected", plain, errDependency, changes(failover.Ejected)),
		callback("OnChange, probing", trial, nil, changes(failover.Probing)),
		callback("OnChange, back", trial, nil, changes(failover.Healthy)),
		callback("OnChange, ejected again", trial, errDependency, changes(failover.Ejected)),
		callback("Logger, ejected", plain, errDependency, logged(slog.LevelWarn)),
		callback("Logger, probing", trial, nil, logged(slog.LevelInfo)),
		callback("Resolve", plain, nil, func(c *groupConfig, hook func()) {
			found := c.Targets
			c.Targets = nil
			c.Resolve = func(context.Context) ([]failover.Target[*url.URL], error) { hook(); return found, nil }
		}),
	}
}
