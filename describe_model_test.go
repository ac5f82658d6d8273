package holdfast_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/retry"
)

// drawn is one of several.
func drawn[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// anyPolicy makes a policy of some kind, with settings that matter to Describe.
func anyPolicy(r *rand.Rand) holdfast.Runner {
	limit := drawn(r, 0, 0, time.Second)
	switch r.IntN(6) {
	case 0, 1:
		return retry.MustNew(retry.Config{
			MaxAttempts: 1 + r.IntN(3), AttemptTimeout: limit, MaxElapsed: drawn(r, 0, 0, 3*time.Second),
			BaseDelay: drawn(r, -1, 100*time.Millisecond), MaxRetryAfter: drawn(r, -1, 2*time.Second),
			RetryIf: drawn(r, nil, func(error) bool { return true }),
		})
	case 2:
		return hedge.MustNew(hedge.Config{MaxHedges: 1 + r.IntN(2), Delay: drawn(r, -1, 400*time.Millisecond), MaxExtraLoad: -1})
	case 3:
		return holdfast.OneOf(failover.MustNew(failover.Config[int]{MaxTries: 1 + r.IntN(3), AttemptTimeout: limit, Targets: targets(3)}))
	case 4:
		return bulkhead.MustNew(bulkhead.Config{Limit: 1 + r.IntN(3), Queue: drawn(r, 0, 5), MaxWait: drawn(r, 0, time.Second)})
	default:
		return drawn[holdfast.Runner](r,
			breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1}),
			holdfast.Fallback(func(_ context.Context, err error) (int, error) { return 0, err }))
	}
}

type refusal struct{}

func (refusal) Error() string { return "refused" }

func (refusal) Refused() bool { return true }

// anyWork takes some time, unless its context ends, and comes to something.
func anyWork(ctx context.Context, take time.Duration, come error) error {
	select {
	case <-time.After(take):
		return come
	case <-ctx.Done():
		return ctx.Err()
	}
}

// workSpan is when work was under way.
type workSpan struct{ from, to time.Time }

// atOnce is the most that was under way at a time. What ends as another begins was not beside it.
func atOnce(all []workSpan) (most int) {
	type edge struct {
		at   time.Time
		more int
	}
	var edges []edge
	for _, s := range all {
		if s.to.After(s.from) {
			edges = append(edges, edge{s.from, 1}, edge{s.to, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), a.more-b.more) })
	n := 0
	for _, e := range edges {
		n += e.more
		most = max(most, n)
	}
	return most
}

// Whatever the stack, and whatever its work comes to, no call goes beyond what Describe says.
func TestDescribeHolds(t *testing.T) {
	callKey := new(int)
	for seed := range uint64(800) {
		r := rand.New(rand.NewPCG(seed, 7))
		policies := make([]holdfast.Runner, 1+r.IntN(4))
		synctest.Test(t, func(t *testing.T) {
			for i := range policies {
				policies[i] = anyPolicy(r)
			}
			s, err := holdfast.NewStack(policies...)
			if err != nil {
				return // it cannot work, and is told so
			}
			d := s.Describe()
			const deadline = 1000 * time.Second
			var mu sync.Mutex
			var spans []workSpan
			calls := map[int]int{}
			work := func(ctx context.Context) (int, error) {
				mu.Lock()
				calls[ctx.Value(callKey).(int)]++
				take := drawn(r, 0, 100*time.Millisecond, 700*time.Millisecond, 2*deadline)
				if d.Time == 0 {
					take = min(take, 5*time.Second)
				}
				come := drawn[error](r, nil, errDown, errDown, errDown, refusal{}, backoff.Permanent(errDown),
					&httpx.StatusError{StatusCode: 503, After: time.Hour, HasAfter: true})
				mu.Unlock()
				w := workSpan{from: time.Now()}
				err := anyWork(ctx, take, come)
				w.to = time.Now()
				mu.Lock()
				defer mu.Unlock()
				spans = append(spans, w)
				return 0, err
			}
			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), callKey, i), deadline)
					defer cancel()
					time.Sleep(time.Duration(i%4) * 300 * time.Millisecond)
					began := time.Now()
					holdfast.Do(ctx, s, work)
					if took := time.Since(began); d.Time > 0 && took > d.Time {
						t.Errorf("seed %d: %v: a call took %v, and Describe says %v", seed, s, took, d.Time)
					}
				})
			}
			all.Wait()
			synctest.Wait()
			for _, n := range calls {
				if d.Calls > 0 && n > d.Calls {
					t.Errorf("seed %d: %v: %d calls, and Describe says %d", seed, s, n, d.Calls)
				}
			}
			if n := atOnce(spans); d.Concurrency > 0 && n > d.Concurrency {
				t.Errorf("seed %d: %v: %d at a time, and Describe says %d", seed, s, n, d.Concurrency)
			}
		})
	}
}
