package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
	"github.com/holdfast-go/holdfast/retry"
)

// TestExperimentE8 is a retry runaway (Google's SRE book, chapter 22): a server that is asked for one per cent more
// than it can do, and clients that ask again.
//
// The model. The server answers 10,000 calls a second (a token bucket that holds 10 calls) and refuses the rest at
// once, with a Retry-After of one second. 10,100 calls a second come evenly, each at a random moment of its slot, for
// 40 s, then 9,000. Without holdfast a refused call comes back after exactly one second until it is answered.
// With holdfast it has four attempts and a default Budget, one for all callers or one for each of 100 clients that the
// calls belong to at random; its delay is the Retry-After and the default full jitter on top. Under way a retry takes up
// to 1 ms more, different for each, so that the order of arrivals never hangs on the scheduler. No number is fitted.
//
// The last column has the same Budget at the plain price of a token a retry: the refusals carry no Retry-After, and the
// client waits its second by itself.
//
// One goroutine for each call that is refused, in a bubble. Without holdfast a call is a plain loop around time.Sleep; with it,
// Policy.Run decides and waits. A breaker would see one failure in a hundred, and stay closed.
func TestExperimentE8(t *testing.T) {
	overload := experiment.Fewer(40, 6)
	r := experiment.NewTable(
		fmt.Sprintf("E8: a server that can do 10,000/s is offered 10,100/s for %d s, then 9,000/s; refused calls come back after 1 s; least and most of %d seeds", overload, experiment.Seeds),
		"", "published", "re-run without holdfast", "with holdfast, one default Budget", "with holdfast, a Budget for each of 100 clients", "one default Budget, no Retry-After",
	)
	plain := experimentE8(t, overload, func(*rand.Rand) func(uint64) callE8 {
		return func(uint64) callE8 { return plainE8 }
	})
	one := experimentE8(t, overload, holdfastE8(t, 1, false))
	hundred := experimentE8(t, overload, holdfastE8(t, 100, false))
	plainPrice := experimentE8(t, overload, holdfastE8(t, 1, true))
	for _, row := range []struct {
		name, published string
		of              func(*resultE8) string
	}{
		{"retries/s after 1, 2, 3 s", "100, 200, 300", func(r *resultE8) string {
			return r.after1.In("%.0f") + ", " + r.after2.In("%.0f") + ", " + r.after3.In("%.0f")
		}},
		{"retries/s in the last second of the overload", "grows without end", func(r *resultE8) string { return r.last.In("%.0f") }},
		{"most retries in any second", "grows without end", func(r *resultE8) string { return r.peak.In("%.0f") }},
		{"seconds from the fall of the load to the last retry", "-", func(r *resultE8) string { return r.zero.In("%.1f") }},
		{"calls of the overload answered in the end", "-", func(r *resultE8) string { return r.answered.In("%.2f") + " %" }},
	} {
		r.Row(row.name, row.published, row.of(plain), row.of(one), row.of(hundred), row.of(plainPrice))
	}
	for _, row := range []struct {
		name string
		of   *resultE8
	}{{"one Budget", one}, {"100 Budgets", hundred}} {
		r.AtMost(t, row.name+": most retries in a second", &row.of.peak, 1010)
		r.Below(t, row.name+": seconds to the last retry", &row.of.zero, 10)
	}
	r.Chart(record.Chart{
		Name: "e8-retries", Title: "E8: retries a second", XLabel: "seconds", YLabel: "retries in the second",
		Series: []record.Series{plain.line("without holdfast"), one.line("holdfast, one Budget"), hundred.line("holdfast, a Budget for each of 100 clients")},
		Spans:  []record.Span{{Name: "1 % too much", To: float64(overload)}},
	})
	if !experiment.Reduced() { // that is before the plain price tells
		plainPrice.last.AtLeast(t, "no Retry-After: retries in the last second", 1010.5)
	}
	plain.last.AtLeast(t, "re-run: retries in the last second", 95*float64(overload-1))
	r.Print(t, `
Goal: never more than 1,010 retries in a second, a tenth of the offered, and none 10 s after the load has fallen.
A retry after a Retry-After costs two tokens and a success brings an eighth of one, so one retry in sixteen successes can
be paid for in the long run (625/s); what is above that was in the buckets at the start. A refusal that
does not say when to come back costs one, and the retries settle at an eighth (1,250/s), above the goal. Without holdfast the
backlog grows by 100 retries/s every second, and takes a second to clear for each 1,000 of them.
One per cent of the calls cannot be answered while the overload lasts, whoever retries: without holdfast they
are answered after it, having come back again and again.`)
}

// callE8 makes one call: it gives attempt the attempt's number, from 1, until it is answered or given up.
type callE8 func(attempt func(number int) error) error

type resultE8 struct {
	after1, after2, after3, last, peak, zero, answered experiment.Span

	retries []int // each second, for the first seed
}

func (r *resultE8) line(name string) record.Series {
	s := record.Series{Name: name}
	for second, n := range r.retries {
		s.X = append(s.X, float64(second))
		s.Y = append(s.Y, float64(n))
	}
	return s
}

// experimentE8 makes calls with what newCall returns for a seed; it returns the call of one client out of those there are.
func experimentE8(t *testing.T, overload int, newCall func(*rand.Rand) func(client uint64) callE8) *resultE8 {
	const after = 12 // seconds that are watched
	result := new(resultE8)
	experiment.InBubbles(t, func(_ *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 8))
		callOf := newCall(rng)
		s := &limitedServer{start: time.Now(), limit: rate.NewLimiter(10_000, 10), retries: make([]int, overload+5*after)}
		var all sync.WaitGroup
		var answered atomic.Int64
		id := 0
		for second := range overload + after {
			offered := 10_100
			if second >= overload {
				offered = 9_000
			}
			slot := time.Second / time.Duration(offered)
			for i := range offered {
				at := time.Duration(second)*time.Second + time.Duration(i)*slot + time.Duration(rng.Int64N(int64(slot)))
				time.Sleep(at&^1 - time.Since(s.start)) // even: see limitedServer.serve
				id++
				call, turn := callOf(rng.Uint64()), id
				run := func() {
					if call(func(number int) error { return s.serve(turn, number) }) == nil && second < overload {
						answered.Add(1)
					}
				}
				if s.limit.Tokens() >= 1 {
					run() // nobody else comes at this instant: it will be answered, and never wait
				} else {
					all.Go(run)
				}
			}
		}
		all.Wait()
		if seed == 1 {
			result.retries = s.retries[:overload+after]
		}
		result.after1.Add(float64(s.retries[1]))
		result.after2.Add(float64(s.retries[2]))
		result.after3.Add(float64(s.retries[3]))
		result.last.Add(float64(s.retries[overload-1]))
		peak := 0
		for _, n := range s.retries {
			peak = max(peak, n)
		}
		result.peak.Add(float64(peak))
		result.zero.Add(max(0, (s.lastRetry - time.Duration(overload)*time.Second).Seconds()))
		result.answered.Add(100 * float64(answered.Load()) / float64(10_100*overload))
	})
	return result
}

func plainE8(attempt func(number int) error) error {
	for n := 1; attempt(n) != nil; n++ {
		time.Sleep(time.Second)
	}
	return nil
}

// holdfastE8 has the refusals carry no Retry-After if they are mute: then the schedule has its second.
func holdfastE8(t *testing.T, clients int, mute bool) func(*rand.Rand) func(uint64) callE8 {
	errMute := errors.New("above the limit")
	return func(rng *rand.Rand) func(client uint64) callE8 {
		calls := make([]callE8, clients)
		for i := range calls {
			d := newDice(rng.Uint64(), uint64(i))
			p := retry.MustNew(retry.Config{
				MaxAttempts: 4,
				Backoff: func() backoff.BackOff {
					jitter := retry.FullJitter(100*time.Millisecond, 5*time.Second, d.Float64)
					if mute {
						return secondMore{jitter}
					}
					return jitter
				},
				Budget: defaultBudget(t),
			})
			calls[i] = func(attempt func(int) error) error {
				return p.Run(context.Background(), func(ctx context.Context) error {
					err := attempt(retry.AttemptFrom(ctx))
					if err != nil && mute {
						return errMute
					}
					return err
				})
			}
		}
		return func(client uint64) callE8 { return calls[client%uint64(clients)] }
	}
}

// secondMore waits a second longer.
type secondMore struct{ backoff.BackOff }

func (s secondMore) NextBackOff() time.Duration { return time.Second + s.BackOff.NextBackOff() }

// limitedServer refuses what is above its limit.
type limitedServer struct {
	start     time.Time
	mu        sync.Mutex // never held in a wait
	limit     *rate.Limiter
	retries   []int // for each second
	lastRetry time.Duration
}

// serve is one attempt. First attempts come at even nanoseconds; a retry waits for one that is odd, and its own among
// all calls under way.
func (s *limitedServer) serve(id, number int) error {
	if number > 1 {
		const turns = 1 << 20
		now := time.Since(s.start)
		own := time.Duration(2*id+1) % turns
		time.Sleep((own - now%turns + turns) % turns)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number > 1 {
		s.lastRetry = time.Since(s.start)
		s.retries[s.lastRetry/time.Second]++
	}
	if !s.limit.Allow() {
		return errPushback
	}
	return nil
}

// pushback is a refusal that says when to come back.
type pushback time.Duration

const errPushback = pushback(time.Second)

func (p pushback) Error() string { return "above the limit, retry in " + time.Duration(p).String() }

func (p pushback) RetryAfter() time.Duration { return time.Duration(p) }
