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
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// The rules know of attempts without a limit, of the limits of a group, and of what retries make of the traffic.
func TestRulesAtTheirEdges(t *testing.T) {
	endless := func() holdfast.Runner { return retries(retry.Config{MaxAttempts: -1}) }
	group := func(limit time.Duration, tries int) holdfast.Runner {
		return holdfast.OneOf(failover.MustNew(failover.Config[int]{AttemptTimeout: limit, MaxTries: tries, Targets: targets(2)}))
	}
	users := func() holdfast.Runner { return breaker.MustNew(breaker.Config{}) }
	for name, test := range map[string]struct {
		policies []holdfast.Runner
		traffic  holdfast.Traffic
		want     string // in the findings; empty: there is none
	}{
		"endless in a breaker": {[]holdfast.Runner{users(), endless()}, holdfast.Traffic{}, "breaker-outside-retry: breaker(50% of 20 in 10s), retry(no limit, no delay): the breaker counts once what has failed any number of times"},
		"endless in a bulkhead": {
			[]holdfast.Runner{bulkhead.MustNew(bulkhead.Config{Limit: 1}), retry.MustNew(retry.Config{MaxAttempts: -1})},
			holdfast.Traffic{},
			"bulkhead-outside-retry: ",
		},
		"endless and not idempotent": {[]holdfast.Runner{endless()}, holdfast.Traffic{NotIdempotent: true}, "twice-what-must-not: "},
		"endless with a limit that hangs": {
			[]holdfast.Runner{retries(retry.Config{MaxAttempts: -1, AttemptTimeout: time.Second})},
			holdfast.Traffic{Deadline: time.Second},
			"attempt-beyond-total: ",
		},
		"a limit that is the total": {
			[]holdfast.Runner{retries(retry.Config{AttemptTimeout: time.Second, MaxElapsed: time.Second})},
			holdfast.Traffic{},
			"an attempt may take 1s, its MaxElapsed of 1s is over by then",
		},
		"two layers, one for its limit":  {[]holdfast.Runner{retries(retry.Config{MaxAttempts: 1, MaxElapsed: time.Minute}), retries(retry.Config{})}, holdfast.Traffic{}, ""},
		"a group and not idempotent":     {[]holdfast.Runner{group(0, 0)}, holdfast.Traffic{NotIdempotent: true}, "twice-what-must-not: failover(2 of 2, ordered): a call that failed at one target is made again"},
		"a group of one try":             {[]holdfast.Runner{group(0, 1)}, holdfast.Traffic{NotIdempotent: true}, ""},
		"a group's limit, and a window":  {[]holdfast.Runner{group(6*time.Second, 1), users()}, holdfast.Traffic{}, "window-too-short: "},
		"a MinDelay beyond the deadline": {[]holdfast.Runner{hedge.MustNew(hedge.Config{MinDelay: time.Second})}, holdfast.Traffic{Deadline: time.Second}, "set MinDelay well below 1s"},
		"retries make enough":            {[]holdfast.Runner{retries(retry.Config{}), users()}, holdfast.Traffic{PerSecond: 1}, ""},
		"retries do not":                 {[]holdfast.Runner{retries(retry.Config{}), users()}, holdfast.Traffic{PerSecond: 0.5}, "at 0.5 calls/s, 1.5 attempts/s, there are never 20 in 10s, so that the ratio does not count; this opens after 5 failures in a row, 3.333s; set MinCalls to 15 or less, or Window to 14s or more"},
		"nobody knows what makes":        {[]holdfast.Runner{once{}, users()}, holdfast.Traffic{PerSecond: 1}, ""},
		"a rate":                         {[]holdfast.Runner{bulkhead.MustNew(bulkhead.Config{Limit: 1, Rate: 1}), users()}, holdfast.Traffic{PerSecond: 100}, "at 100 calls/s, 1 attempts/s, there are never 20 in 10s"},
		"next to no traffic":             {[]holdfast.Runner{users()}, holdfast.Traffic{PerSecond: 1e-13}, "this opens after 5 failures in a row, 1281023h"},
	} {
		all := holdfast.MustStack(test.policies...).For(test.traffic).Check()
		found := errors.Join(findings(all)...)
		switch {
		case test.want == "" && found != nil, test.want != "" && (found == nil || !strings.Contains(found.Error(), test.want)):
			t.Errorf("%s: %v\nwant %s", name, found, test.want)
		case found != nil && strings.Contains(found.Error(), " -"):
			t.Errorf("%s: %v", name, found)
		}
	}
	_, err := holdfast.NewStack(group(time.Second, 0), retries(retry.Config{AttemptTimeout: time.Second}))
	if err == nil || !strings.Contains(err.Error(), "attempt-beyond-total: failover(2 of 2, ordered), retry(3, no delay, 1s each)") {
		t.Errorf("a group's limit: %v", err)
	}
}

func findings(all []holdfast.Finding) (errs []error) {
	for _, f := range all {
		errs = append(errs, f)
	}
	return errs
}

// The harm of the last one: nothing is slow, and yet a group does the work twice.
func TestGroupDoesItTwice(t *testing.T) {
	done := 0
	_ = holdfast.MustStack(two()).Run(t.Context(), func(context.Context) error { done++; return errDown })
	if done != 2 {
		t.Errorf("done %d times", done)
	}
}

// Where retries make the traffic, a ratio does open at one call a second.
func TestRetriesMakeTheRatioCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := breaker.MustNew(breaker.Config{ConsecutiveFailures: -1})
		s := holdfast.MustStack(retries(retry.Config{}), users)
		for range 10 {
			_ = s.Run(t.Context(), func(context.Context) error { return errDown })
			time.Sleep(time.Second)
		}
		if users.State() != breaker.Open {
			t.Error(users.Snapshot())
		}
	})
}
