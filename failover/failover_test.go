package failover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

var errDown = errors.New("down")

// service is some targets, each of which is up or down.
type service struct {
	calls [16]int
	down  [16]bool
}

func (s *service) do(_ context.Context, i int) (int, error) {
	s.calls[i]++
	if s.down[i] {
		return -i, errDown
	}
	return i, nil
}

func TestMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s service
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(3)})
		s.down[0] = true
		for range 20 {
			if v, err := failover.Do(t.Context(), g, s.do); v != 1 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
		}
		if s.calls[0] != 5 {
			t.Errorf("%d calls to the target that is down, want 5: then it is ejected", s.calls[0])
		}
		time.Sleep(5 * time.Second)
		for range 20 {
			if v, err := failover.Do(t.Context(), g, s.do); v != 1 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
		}
		if s.calls[0] != 6 {
			t.Errorf("%d calls, want one more, a trial", s.calls[0])
		}
		s.down[0] = false
		time.Sleep(10 * time.Second)
		for range 3 { // trials
			if v, err := failover.Do(t.Context(), g, s.do); v != 0 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
		}
		time.Sleep(10 * time.Second) // the slow start
		for range 20 {
			if v, err := failover.Do(t.Context(), g, s.do); v != 0 || err != nil {
				t.Fatalf("%d, %v", v, err)
			}
		}
		if snap := g.Snapshot(); snap.Calls != 63 || snap.Successes != 63 || snap.Failovers != 6 {
			t.Errorf("%+v", snap)
		}
	})
}

func TestAllDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s service
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(3), Balance: failover.RoundRobin})
		for i := range 3 {
			s.down[i] = true
		}
		_, err := failover.Do(t.Context(), g, s.do)
		var failed *failover.Error
		if !errors.As(err, &failed) || len(failed.Tried) != 3 || !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		for range 100 {
			_, _ = failover.Do(t.Context(), g, s.do)
		}
		before := s.calls
		const calls = 1000
		for range calls {
			_, err = failover.Do(t.Context(), g, s.do)
		}
		if made := s.calls[0] + s.calls[1] + s.calls[2] - before[0] - before[1] - before[2]; made > calls*11/10 {
			t.Errorf("%d attempts for %d calls", made, calls)
		}
		if !strings.Contains(err.Error(), "down") {
			t.Error(err)
		}
	})
}

// The golden table of Envoy's documentation, and its example of three levels.
func TestSpill(t *testing.T) {
	for _, row := range []struct {
		healthy [2]int // of 100
		want    int    // percent of the traffic that level 0 gets
	}{
		{[2]int{100, 100}, 100},
		{[2]int{72, 100}, 100},
		{[2]int{71, 100}, 99},
		{[2]int{50, 100}, 70},
		{[2]int{25, 100}, 35},
		{[2]int{0, 100}, 0},
	} {
		t.Run(fmt.Sprint(row.healthy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ts []failover.Target[bool]
				for level, healthy := range row.healthy {
					for i := range 100 {
						ts = append(ts, failover.Target[bool]{Name: fmt.Sprint(level, "/", i), Priority: level, Value: i < healthy})
					}
				}
				g := failover.MustNew(failover.Config[bool]{
					Targets: ts, Balance: failover.RoundRobin,
					Probe: func(_ context.Context, up bool) error {
						if !up {
							return errDown
						}
						return nil
					},
				})
				defer g.Close()
				time.Sleep(time.Minute)
				synctest.Wait()
				const calls = 100_000
				first := 0
				for range calls {
					lease, err := g.Pick(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if strings.HasPrefix(lease.Name, "0") {
						first++
					}
					lease.Done(nil)
				}
				if share := float64(first) / calls * 100; share < float64(row.want)-1 || share > float64(row.want)+1 {
					t.Errorf("level 0 gets %.1f %%, want %d", share, row.want)
				}
			})
		})
	}
}
