package holdfast_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/retry"
)

// A retry repeats what another has given up below it, where its own limit has ended that, or its RetryIf says so.
func TestDescribeRepeatsWhatIsExhausted(t *testing.T) {
	always := func(error) bool { return true }
	group := func(limit time.Duration) holdfast.Runner {
		return holdfast.OneOf(failover.MustNew(failover.Config[int]{AttemptTimeout: limit, Targets: targets(2)}))
	}
	five := retry.Config{MaxAttempts: 5}
	for _, test := range []struct {
		policies []holdfast.Runner
		made     int // calls that take 300 ms and fail
		want     int
	}{
		{[]holdfast.Runner{retries(retry.Config{AttemptTimeout: time.Second}), retries(five)}, 12, 15},
		{[]holdfast.Runner{retries(retry.Config{RetryIf: always}), retries(five)}, 15, 15},
		{[]holdfast.Runner{retries(retry.Config{}), group(time.Second), retries(five)}, 24, 45}, // it may have a third target by then
		{[]holdfast.Runner{retries(retry.Config{}), retries(retry.Config{MaxAttempts: 5, MaxElapsed: time.Second})}, 4, 7},
		{[]holdfast.Runner{retries(retry.Config{}), retries(retry.Config{MaxAttempts: 1, MaxElapsed: time.Second}), retries(five)}, 12, 15},
		{[]holdfast.Runner{retries(retry.Config{}), retries(retry.Config{MaxAttempts: 1, AttemptTimeout: time.Minute}), retries(five)}, 5, 15},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := holdfast.MustStack(test.policies...)
			made := 0
			_ = s.Run(t.Context(), func(ctx context.Context) error {
				made++
				select {
				case <-time.After(300 * time.Millisecond):
					return errDown
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if got := s.Describe().Calls; got != test.want || made != test.made {
				t.Errorf("%v: at most %d calls, made %d; want %d, %d", s, got, made, test.want, test.made)
			}
		})
	}
}

// What is not bounded, or too large for a number, has no bound; and however many attempts there are, Describe is soon done.
func TestDescribeWithoutBound(t *testing.T) {
	const ages = math.MaxInt64 / 2
	for _, test := range []struct {
		policies []holdfast.Runner
		calls    int
		time     time.Duration
	}{
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: -1, AttemptTimeout: time.Second})}, 0, 0},
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: -1, MaxElapsed: time.Minute})}, 0, time.Minute},
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: -1}), hedge.MustNew(hedge.Config{})}, 0, 0},
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: 1, AttemptTimeout: time.Second})}, 1, time.Second},
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: math.MaxInt32}), hedge.MustNew(hedge.Config{})}, 0, 0},
		{[]holdfast.Runner{retries(retry.Config{MaxAttempts: math.MaxInt32 - 1})}, math.MaxInt32 - 1, 0},
		{[]holdfast.Runner{retries(retry.Config{AttemptTimeout: ages})}, 3, 0},
		{[]holdfast.Runner{retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxDelay: ages, BaseDelay: ages})}, 3, 0},
		{[]holdfast.Runner{retries(retry.Config{AttemptTimeout: time.Second, MaxRetryAfter: ages, MaxAttempts: 9})}, 9, 0},
		{
			[]holdfast.Runner{retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxRetryAfter: -1, MaxAttempts: 1_000_001})},
			1_000_001,
			1_000_001*time.Second + 6300*time.Millisecond + (1_000_000-6)*5*time.Second,
		}, // 100ms to 3.2s, then 5s each
		{[]holdfast.Runner{bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1, MaxWait: ages}), retries(retry.Config{MaxAttempts: 1, AttemptTimeout: ages + 2})}, 1, 0},
	} {
		s := holdfast.MustStack(test.policies...)
		if d := s.Describe(); d.Calls != test.calls || d.Time != test.time {
			t.Errorf("%v: %d calls, %v; want %d, %v", s, d.Calls, d.Time, test.calls, test.time)
		}
	}
}

// The jitter comes on top of what the error asks for.
func TestDescribeTimeOfRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := holdfast.MustStack(retry.MustNew(retry.Config{AttemptTimeout: time.Second, MaxRetryAfter: 10 * time.Second, BaseDelay: 4 * time.Second, MaxDelay: 4 * time.Second}))
		if got := s.Describe().Time; got != 31*time.Second {
			t.Errorf("%v, want three attempts and two delays of 14s", got)
		}
		longest := time.Duration(0)
		for range 30 {
			began := time.Now()
			_ = s.Run(t.Context(), func(ctx context.Context) error {
				<-ctx.Done()
				return &httpx.StatusError{StatusCode: 503, After: time.Hour, HasAfter: true}
			})
			longest = max(longest, time.Since(began))
		}
		if longest <= 23*time.Second || longest > 31*time.Second {
			t.Errorf("the longest of thirty took %v", longest)
		}
	})
}

// Names may be anything: a stack is on one line all the same, and a chart shows what they are.
func TestNamesAreOnlyText(t *testing.T) {
	s := holdfast.MustStack(
		retry.MustNew(retry.Config{Name: "a\r%%{init: x}%%\u2028\"] <b> &lt; #quot; `x`"}),
		breaker.MustNew(breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1}),
		retry.MustNew(retry.Config{MaxAttempts: -1}),
		speaking("in\ntwo lines"),
	).Named("x\ny")
	if want := "x y: retry(3, 100ms..5s) → breaker(never) → retry(no limit, 100ms..5s) → in two lines"; s.String() != want {
		t.Errorf("%q\nwant %q", s, want)
	}
	chart := s.Mermaid()
	if want := `p1["a #37;#37;{init: x}#37;#37; #quot;] #lt;b#gt; #amp;lt; #35;quot; #96;x#96;<br/>retry(3, 100ms..5s)"]`; !strings.Contains(chart, want) || strings.Count(chart, "\n") != 2 {
		t.Errorf("%s\nwant %s", chart, want)
	}
	for _, f := range s.For(holdfast.Traffic{NotIdempotent: true}).Check() {
		if strings.ContainsAny(f.Error(), "\n\r\u2028") {
			t.Errorf("%q", f.Error())
		}
	}
}

// speaking is somebody's policy that says what it is.
type speaking string

func (speaking) Run(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func (s speaking) String() string { return string(s) }
