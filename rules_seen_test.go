package holdfast_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// both is a group of two targets, each of which has so long.
func both(each time.Duration) holdfast.Runner {
	return holdfast.OneOf(failover.MustNew(failover.Config[int]{AttemptTimeout: each, Targets: targets(2)}))
}

// A target that hangs for longer than there is time is the only one that is tried; with less time for each, the other one answers.
func TestTargetBeyondTotal(t *testing.T) {
	for each, want := range map[time.Duration]string{
		5 * time.Second: "attempt-beyond-total: retry(1, no delay, 3s in all), failover(2 of 2, ordered): an attempt at one target may take 5s, " +
			"the MaxElapsed of 3s above it is over by then, and no other target is tried; set AttemptTimeout to half of 3s or less",
		time.Second: "",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := holdfast.MustStack(retries(retry.Config{MaxAttempts: 1, MaxElapsed: 3 * time.Second}), both(each))
			_, err := holdfast.Do(t.Context(), s, func(ctx context.Context) (int, error) {
				target, _ := holdfast.Target[int](ctx)
				if target == 0 {
					<-ctx.Done()
				}
				return target, ctx.Err()
			})
			told := ""
			if all := s.Check(); len(all) > 0 {
				told = errors.Join(findings(all)...).Error()
			}
			if told != want || (err != nil) != (want != "") {
				t.Errorf("%v for each target: %v, and Check says %q, want %q", each, err, told, want)
			}
		})
	}
}

// Where there is one target the time that another would need is nobody's.
func TestTargetBeyondTotalOfOne(t *testing.T) {
	one := holdfast.OneOf(failover.MustNew(failover.Config[int]{AttemptTimeout: 5 * time.Second, Targets: targets(1)}))
	s := holdfast.MustStack(retries(retry.Config{MaxAttempts: 1, MaxElapsed: 3 * time.Second}), one)
	tried := 0
	err := s.Run(t.Context(), func(context.Context) error { tried++; return errDown })
	if all := s.Check(); len(all) > 0 || tried != 1 || err == nil {
		t.Errorf("Check says %v; tried %d times, want 1: %v", all, tried, err)
	}
}

// A breaker that goes by slow calls alone needs MinCalls too.
func TestSlowRatioThatNeverCounts(t *testing.T) {
	for least, want := range map[int]bool{20: false, 5: true} {
		synctest.Test(t, func(t *testing.T) {
			users := breaker.MustNew(breaker.Config{FailureRatio: -1, ConsecutiveFailures: -1, SlowAfter: 100 * time.Millisecond, MinCalls: least})
			s := holdfast.MustStack(users).For(holdfast.Traffic{PerSecond: 1})
			for range 60 {
				_ = s.Run(t.Context(), func(context.Context) error { time.Sleep(time.Second); return nil })
			}
			opened := users.State() != breaker.Closed
			told := strings.Contains(errors.Join(append(findings(s.Check()), errDown)...).Error(), "breaker-never-opens: breaker(50% above 100ms): at 1 calls/s there are never 20 in 10s")
			if opened != want || told == want {
				t.Errorf("MinCalls %d: opened is %v, want %v; told is %v", least, opened, want, told)
			}
		})
	}
}

// What Check says of a window and of a hedge is so.
func TestFindingsAreSo(t *testing.T) {
	for name, test := range map[string]struct {
		policies []holdfast.Runner
		traffic  holdfast.Traffic
		want     string
	}{
		"a shorter limit around the breaker": {
			[]holdfast.Runner{retries(retry.Config{AttemptTimeout: 8 * time.Second}), both(2 * time.Second), breaker.MustNew(breaker.Config{})}, holdfast.Traffic{}, "",
		},
		"and a window that is too short for that": {
			[]holdfast.Runner{retries(retry.Config{AttemptTimeout: 30 * time.Second}), both(6 * time.Second), breaker.MustNew(breaker.Config{})},
			holdfast.Traffic{},
			"window-too-short: failover(2 of 2, ordered), breaker(50% of 20 in 10s): attempts may take 6s",
		},
		"a window of slow calls": {
			[]holdfast.Runner{retries(retry.Config{AttemptTimeout: 8 * time.Second}), breaker.MustNew(breaker.Config{FailureRatio: -1, SlowAfter: time.Second})},
			holdfast.Traffic{},
			"window-too-short: ",
		},
		"nothing is counted in the window": {
			[]holdfast.Runner{retries(retry.Config{AttemptTimeout: 8 * time.Second}), breaker.MustNew(breaker.Config{FailureRatio: -1, SlowAfter: time.Second, SlowRatio: -1})},
			holdfast.Traffic{PerSecond: 1},
			"",
		},
		"a delay that is learned already": {
			[]holdfast.Runner{hedge.MustNew(hedge.Config{})}, holdfast.Traffic{Deadline: 50 * time.Millisecond}, "is over by then; set FirstDelay well below 50ms$",
		},
		"a delay that could be": {
			[]holdfast.Runner{hedge.MustNew(hedge.Config{Delay: time.Second})}, holdfast.Traffic{Deadline: time.Second}, "set Delay well below 1s, or leave Delay out, to be learned$",
		},
	} {
		var told strings.Builder
		for _, f := range holdfast.MustStack(test.policies...).For(test.traffic).Check() {
			told.WriteString(f.Error() + "$")
		}
		if test.want == "" && told.Len() > 0 || !strings.Contains(told.String(), test.want) || strings.Count(told.String(), "window-too-short") > 1 {
			t.Errorf("%s: %s\nwant %s", name, told.String(), test.want)
		}
	}
}

// A breaker does not say that it goes by what it does not.
func TestStringOfNoSlowRatio(t *testing.T) {
	s := holdfast.MustStack(breaker.MustNew(breaker.Config{SlowAfter: time.Second, SlowRatio: -1}))
	if got := s.String(); got != "breaker(50% of 20 in 10s)" {
		t.Error(got)
	}
}

// A policy that is none does not keep the error from saying what else cannot work.
func TestNewStackTellsAll(t *testing.T) {
	s, err := holdfast.NewStack(nil, retries(retry.Config{AttemptTimeout: time.Second}), hedge.MustNew(hedge.Config{Delay: 2 * time.Second}))
	if err == nil || s != nil {
		t.Fatal(s, err)
	}
	for _, want := range []string{"policy 1: nil: want a policy", "hedge-after-deadline: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
