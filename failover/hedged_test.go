package failover_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
)

// The second attempt of a hedge goes to another target than the first, whatever the balance, and the third to a third; one
// more than there are targets goes somewhere all the same.
func TestHedgesGoElsewhere(t *testing.T) {
	for _, balance := range balances {
		t.Run(balance.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := failover.MustNew(failover.Config[int]{Targets: targets(3), Balance: balance})
				p := hedge.MustNew(hedge.Config{Delay: time.Millisecond, MaxHedges: 3, MaxExtraLoad: -1})
				for range 100 {
					var mu sync.Mutex
					var taken []int
					v, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
						return failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) {
							mu.Lock()
							taken = append(taken, i)
							n := len(taken)
							mu.Unlock()
							if n == 4 {
								time.Sleep(2 * time.Millisecond) // not so fast that the others would be slow targets
								return 7, nil
							}
							<-ctx.Done()
							return 0, ctx.Err()
						})
					})
					synctest.Wait()
					if v != 7 || err != nil {
						t.Fatal(v, err)
					}
					if len(taken) != 4 || taken[0] == taken[1] || taken[0] == taken[2] || taken[1] == taken[2] {
						t.Fatalf("attempts went to %v, want three different ones first", taken)
					}
				}
				for _, s := range g.Snapshot().Targets {
					if s.State != failover.Healthy || s.Failures != 0 || s.InFlight != 0 {
						t.Errorf("a lost attempt counts against its target: %+v", s)
					}
				}
			})
		})
	}
}

// A target that a hedge keeps on saving its callers from is slow, and is ejected, although no call has waited for it to
// answer. Where the hedge is as slow, none is.
func TestHedgesDoNotHideASlowTarget(t *testing.T) {
	for name, row := range map[string]struct {
		others time.Duration
		want   failover.State
	}{
		"the others are quick": {5 * time.Millisecond, failover.Ejected},
		"all are slow":         {100 * time.Millisecond, failover.Healthy},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := failover.MustNew(failover.Config[int]{Targets: targets(3)})
				p := hedge.MustNew(hedge.Config{Delay: 20 * time.Millisecond, MaxExtraLoad: -1})
				for range 5 {
					if _, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
						return failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) {
							takes := row.others
							if i == 0 {
								takes = time.Second
							}
							select {
							case <-time.After(takes):
								return i, nil
							case <-ctx.Done():
								return 0, ctx.Err()
							}
						})
					}); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				s := g.Snapshot()
				if is := s.Targets[0]; is.State != row.want || s.Ignored != 5 {
					t.Errorf("%v (%s), %d ignored", is.State, is.Why, s.Ignored)
				}
			})
		})
	}
}

// An attempt that moves on to another target does not go where the other attempt is, as long as there is a third.
func TestFailoverBesideAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3)})
		p := hedge.MustNew(hedge.Config{Delay: time.Millisecond, MaxExtraLoad: -1})
		var mu sync.Mutex
		var taken []int
		v, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			return failover.Do(ctx, g, func(ctx context.Context, i int) (int, error) {
				mu.Lock()
				taken = append(taken, i)
				mu.Unlock()
				switch i {
				case 0:
					<-ctx.Done()
					return 0, ctx.Err()
				case 1:
					return 0, errDown
				}
				return i, nil
			})
		})
		if v != 2 || err != nil || len(taken) != 3 {
			t.Errorf("%d, %v; attempts went to %v", v, err, taken)
		}
	})
}
