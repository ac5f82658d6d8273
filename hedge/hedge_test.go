package hedge_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// TestFirstSuccessWins: a slow attempt is hedged, the loser is told why it is cancelled, and its value is discarded.
func TestFirstSuccessWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Name: "search", Delay: 10 * time.Millisecond, MaxExtraLoad: -1})
		dropped := make(chan int, 2)
		start := time.Now()
		v, err := hedge.DoDiscard(t.Context(), p, func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				<-ctx.Done()
				if cause := context.Cause(ctx); cause != hedge.ErrLost {
					t.Errorf("the loser's cause is %v", cause)
				}
				return 1, nil
			}
			time.Sleep(5 * time.Millisecond)
			return 2, nil
		}, func(v int) { dropped <- v })
		if took := time.Since(start); v != 2 || err != nil || took != 15*time.Millisecond {
			t.Errorf("got %d, %v after %v", v, err, took)
		}
		if v := <-dropped; v != 1 {
			t.Errorf("dropped %d", v)
		}
		if s := p.Snapshot(); s.Calls != 1 || s.Successes != 1 || s.Hedges != 1 || s.Wins != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestFailureNeverBeatsSuccess: a fast failure starts the next attempt at once, and waits for it.
func TestFailureNeverBeatsSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := hedge.MustNew(hedge.Config{Delay: time.Second, MaxExtraLoad: -1})
		boom := errors.New("boom")
		start := time.Now()
		v, err := hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			if hedge.AttemptFrom(ctx) == 1 {
				return 0, boom
			}
			time.Sleep(5 * time.Millisecond)
			return 2, nil
		})
		if took := time.Since(start); v != 2 || err != nil || took != 5*time.Millisecond {
			t.Errorf("got %d, %v after %v", v, err, took)
		}
		_, err = hedge.Do(t.Context(), p, func(ctx context.Context) (int, error) { return 0, boom })
		var all *hedge.Error
		if !errors.As(err, &all) || all.Attempts != 2 || !errors.Is(err, boom) {
			t.Error(err)
		}
	})
}
