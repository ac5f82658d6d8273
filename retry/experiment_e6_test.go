package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE6 is retries against the failure rate (Brooker, "Fixing retries with token buckets and circuit
// breakers", 2022).
//
// The model. 100 clients make 10,000 calls each, one after another; each attempt fails with probability f,
// independently of all others. A call has up to four attempts. The load is attempts for each call. A client has a
// bucket of its own, full at the start. In the published form a success puts in 0.1 and a retry takes 1; that it
// holds 100 is a fit, to the published 99.69 % and 1.108 at f = 10 %. With holdfast it is the default Budget.
// The published model knows no time. Here a client makes a hundred calls a second and retries at once, which matters
// to the Budget's floor alone: while no token is left it lends 0.1 retries a second whatever the traffic. One row shows
// a client of ten calls a second. The rows under it show why the default is what it is: Budgets with one field changed.
//
// One goroutine for each seed, in a bubble, runs the clients one after another (they share nothing): every attempt is
// Policy.Run's decision.
func TestExperimentE6(t *testing.T) {
	clients := experiment.Fewer(100, 4) // not fewer calls: their number says how much the tokens at the start weigh
	r := experiment.NewTable(
		fmt.Sprintf("E6: retries while a share f of the attempts fails: %d clients, 10,000 calls each, 4 attempts a call; calls that succeed, and attempts for each call; least and most of %d seeds", clients, experiment.Seeds),
		"f", "published", "re-run, no bucket", "re-run, bucket of 100, 0.1 a success", "with holdfast, default Budget if no other is named",
	)
	published := map[float64]string{0.1: "bucket 99.69 %, 1.108x", 1: "no bucket 4.0x"}
	var load [3]record.Series
	for i, name := range []string{"no bucket, re-run", "bucket, re-run", "holdfast"} {
		load[i].Name = name
	}
	for _, f := range []float64{0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.7, 1} {
		bare := experimentE6(t, clients, 0, f, func() caller { return plainE6(nil) })
		bucket := experimentE6(t, clients, 0, f, func() caller { return plainE6(&plainBucket{tokens: 100, capacity: 100, ratio: 0.1}) })
		holdfast := experimentE6(t, clients, 100, f, func() caller { return holdfastE6(t, retry.BudgetConfig{}) })
		r.Row(fmt.Sprintf("%.0f %%", 100*f), or(published[f], "-"), bare.String(), bucket.String(), holdfast.String())

		for i, result := range []*resultE6{bare, bucket, holdfast} {
			load[i].X = append(load[i].X, f)
			load[i].Y = append(load[i].Y, result.load.Most())
		}
		at := fmt.Sprintf("f = %g: ", f)
		if f <= 0.1 {
			r.AtLeast(t, at+"success", &holdfast.success, 0.999)
		}
		if f >= 0.3 {
			r.Below(t, at+"load", &holdfast.load, 1.1)
		}
		if f == 1 {
			bare.load.AtLeast(t, at+"load without a bucket", 4)
		}
	}
	r.Chart(record.Chart{
		Name: "e6-load", Title: "E6: load by failure rate", XLabel: "share of attempts that fail", YLabel: "attempts for each call", Series: load[:],
	})
	slow := experimentE6(t, clients, 10, 0.3, func() caller { return holdfastE6(t, retry.BudgetConfig{}) })
	r.Row("30 %, at 10 calls/s", "-", "-", "-", slow.String())
	r.Below(t, "f = 0.3 at 10 calls/s: load", &slow.load, 1.1)

	for _, other := range []struct {
		name         string
		config       retry.BudgetConfig
		fails, heavy bool // below 99.9 % at f = 10 %; above a load of 1.1 at f = 30 %
	}{
		{name: "Ratio 0.1", config: retry.BudgetConfig{Ratio: 0.1}, fails: true},
		{name: "Ratio 0.13", config: retry.BudgetConfig{Ratio: 0.13}, heavy: true},
		{name: "Capacity 10", config: retry.BudgetConfig{Capacity: 10}, fails: true},
	} {
		for _, f := range []float64{0.1, 0.3} {
			name := fmt.Sprintf("%.0f %%, %s", 100*f, other.name)
			result := experimentE6(t, clients, 100, f, func() caller { return holdfastE6(t, other.config) })
			r.Row(name, "-", "-", "-", result.String())
			if experiment.Reduced() { // too few clients to tell them apart
				continue
			}
			if f == 0.1 && other.fails {
				result.success.Below(t, name+": success", 0.999)
			}
			if f == 0.3 && other.heavy {
				result.load.AtLeast(t, name+": load", 1.1)
			}
		}
	}
	r.Print(t, `
Goal: at least 99.9 % of the calls succeed up to f = 10 %, and a load of at most 1.1 from f = 30 % on. Between the two
the load goes above 1.1: there are still enough successes to pay for retries, and most failures want one.
Without a bucket the load grows to all four attempts just when the server is worst off.
A client makes 100 calls/s; in one row it makes 10, which is where the floor weighs more: what it lends is paid back.
A Ratio of 0.1, and a Capacity of 10, miss the first half of the goal, and a Ratio of 0.13 the second.`)
}

// caller makes one call of attempt.
type caller func(attempt func() error)

type resultE6 struct{ success, load experiment.Span }

func (r *resultE6) String() string {
	return r.success.Times(100).In("%.2f") + " %, " + r.load.In("%.3f") + "x"
}

// experimentE6 gives each client a newCaller of its own. With perSecond 0 there is no time.
func experimentE6(t *testing.T, clients, perSecond int, f float64, newCaller func() caller) *resultE6 {
	const calls = 10_000
	errUnlucky := errors.New("unlucky")
	result := new(resultE6)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 6))
		attempts, successes := 0, 0
		attempt := func() error {
			attempts++
			if rng.Float64() < f {
				return errUnlucky
			}
			successes++
			return nil
		}
		for range clients {
			call := newCaller()
			for i := range calls {
				if perSecond > 0 && i%perSecond == perSecond-1 {
					time.Sleep(time.Second)
				}
				call(attempt)
			}
		}
		result.success.Add(float64(successes) / float64(clients*calls))
		result.load.Add(float64(attempts) / float64(clients*calls))
	})
	return result
}

func holdfastE6(t *testing.T, c retry.BudgetConfig) caller {
	b, err := retry.NewBudget(c)
	if err != nil {
		t.Error(err)
	}
	p := retry.MustNew(retry.Config{MaxAttempts: 4, BaseDelay: -1, Budget: b})
	ctx := context.Background()
	return func(attempt func() error) {
		_ = p.Run(ctx, func(context.Context) error { return attempt() })
	}
}

// plainE6 is a loop of four attempts; a nil bucket allows all.
func plainE6(b *plainBucket) caller {
	return func(attempt func() error) {
		for n := 1; attempt() != nil; n++ {
			if n == 4 || !b.withdraw() {
				return
			}
		}
		b.deposit()
	}
}

// plainBucket is the published token bucket.
type plainBucket struct{ tokens, capacity, ratio float64 }

func (b *plainBucket) deposit() {
	if b != nil {
		b.tokens = min(b.tokens+b.ratio, b.capacity)
	}
}

func (b *plainBucket) withdraw() bool {
	if b == nil {
		return true
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func defaultBudget(t *testing.T) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
