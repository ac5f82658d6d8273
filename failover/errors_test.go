package failover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/retry"
)

type askedFor time.Duration

func (askedFor) Error() string               { return "later" }
func (a askedFor) RetryAfter() time.Duration { return time.Duration(a) }

// What an Error says of those in it, to policies, to net/http, and to people.
func TestError(t *testing.T) {
	none := &failover.NoTargetError{Name: "users"}
	out := &failover.NoTargetError{LeftOut: []failover.LeftOut{{Target: "c", Why: "ejected for another 5s, 5 failures in a row"}}}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, row := range []struct {
		tried   []error
		reason  error
		text    string
		refused bool
		timeout bool
		notSent bool
		after   time.Duration
		word    string
	}{
		{
			[]error{errDown, turnedAway{}},
			none, "failover users: t0: down; t1: turned away (no target is left)",
			false, false, false, 0, "_OTHER",
		},
		{
			[]error{turnedAway{}, turnedAway{}},
			failover.ErrTries, "failover users: t0: turned away; t1: turned away (that is MaxTries)",
			true, false, true, 0, "refused",
		},
		{
			[]error{errDown, context.DeadlineExceeded},
			out, "failover users: t0: down; t1: context deadline exceeded (no target: c: ejected for another 5s, 5 failures in a row)",
			false, true, false, 0, "timeout",
		},
		{
			[]error{context.DeadlineExceeded, errDown},
			failover.ErrBudget, "failover users: t0: context deadline exceeded; t1: down (no budget for another)",
			false, false, false, 0, "_OTHER",
		},
		{
			[]error{errDown},
			context.DeadlineExceeded, "failover users: t0: down (context deadline exceeded)",
			false, true, false, 0, "timeout",
		},
		{
			[]error{errDown},
			context.Canceled, "failover users: t0: down (context canceled)",
			false, false, false, 0, "canceled",
		},
		{
			[]error{askedFor(3), askedFor(2)},
			none, "failover users: t0: later; t1: later (no target is left)",
			false, false, false, 2, "_OTHER",
		},
		{
			[]error{askedFor(3), errDown},
			none, "failover users: t0: later; t1: down (no target is left)",
			false, false, false, 0, "_OTHER",
		},
		{
			[]error{dial, turnedAway{}},
			none, "failover users: t0: dial tcp: connection refused; t1: turned away (no target is left)",
			false, false, true, 0, "",
		},
	} {
		err := &failover.Error{Name: "users", Reason: row.reason}
		for i, e := range row.tried {
			err.Tried = append(err.Tried, failover.TargetError{Target: fmt.Sprint("t", i), Err: e})
		}
		t.Run(row.text, func(t *testing.T) {
			if err.Error() != row.text {
				t.Error(err)
			}
			if err.Refused() != row.refused || err.Timeout() != row.timeout || err.Temporary() != row.timeout || err.NotSent() != row.notSent || err.RetryAfter() != row.after {
				t.Error(err.Refused(), err.Timeout(), err.Temporary(), err.NotSent(), err.RetryAfter())
			}
			if row.word != "" && row.word != "refused" && err.ErrorType() != row.word {
				t.Error(err.ErrorType())
			}
			for _, e := range append(row.tried, row.reason) {
				if !errors.Is(err, e) {
					t.Errorf("it is not %v", e)
				}
			}
			last := row.tried[len(row.tried)-1]
			if all := err.Unwrap(); all[0] != last || errors.Unwrap(err.Tried[0]) != row.tried[0] {
				t.Errorf("%v: the last is first", all)
			}
		})
	}
	if !errors.Is(none, failover.ErrNoTarget) || none.Error() != "failover users: no target is left" || !none.Refused() || !none.Temporary() || none.Timeout() || none.ErrorType() != "failover_no_target" {
		t.Error(none)
	}
}

// Where no target may be tried, the error says why, and when the first of them may be.
func TestNoTargetError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: targets(2), ConsecutiveFailures: 1, MaxEjected: 1, PanicBelow: -1, EjectFor: 5 * time.Second})
		ask := func() error { return g.Run(t.Context(), func(context.Context, int) error { return errDown }) }
		if err := ask(); !errors.Is(err, errDown) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		err := ask()
		none, is := err.(*failover.NoTargetError)
		if !is || none.After != 4*time.Second || none.RetryAfter() != 4*time.Second || len(none.LeftOut) != 2 {
			t.Fatalf("%#v", err)
		}
		const want = "failover users: no target: t0: ejected for another 4s, 1 failures in a row; t1: ejected for another 4s, 1 failures in a row"
		if err.Error() != want {
			t.Error(err)
		}
		if s := g.Snapshot(); s.Refused != 1 || s.Failures != 1 || s.Calls != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// A retry around a group whose targets are ejected, but are tried all the same, does not wait for their ejections to end;
// and what each target asks for is that target's: the first that is ready is enough.
func TestRetryWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := failover.MustNew(failover.Config[int]{Targets: targets(3), ConsecutiveFailures: 1, EjectFor: time.Minute})
		p := retry.MustNew(retry.Config{MaxAttempts: 5, BaseDelay: time.Millisecond, MaxDelay: time.Millisecond, MaxRetryAfter: time.Hour})
		began := time.Now()
		_ = p.Run(t.Context(), func(ctx context.Context) error {
			return g.Run(ctx, func(context.Context, int) error { return errDown })
		})
		if took := time.Since(began); took > 4*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		g = failover.MustNew(failover.Config[int]{Targets: targets(2), ConsecutiveFailures: -1})
		p = retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: time.Millisecond, MaxDelay: time.Millisecond, MaxRetryAfter: time.Hour})
		began = time.Now()
		_ = p.Run(t.Context(), func(ctx context.Context) error {
			return g.Run(ctx, func(_ context.Context, i int) error { return []error{askedFor(time.Minute), askedFor(time.Second)}[i] })
		})
		if took := time.Since(began); took < time.Second || took > 2*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

// A retry around a Transport repeats a POST that no target has had.
func TestRetryOfWhatWasNotSent(t *testing.T) {
	good := newBackend(t, false, echoes)
	dead := []string{refusing, refusing}
	g := group(t, failover.Config[*url.URL]{Balance: failover.RoundRobin}, dead...)
	p := retry.MustNew(retry.Config{BaseDelay: time.Millisecond, OnRetry: func(retry.Event) {
		if err := g.Update(at(t, good.URL)); err != nil {
			t.Error(err)
		}
	}})
	var a accounts
	req := a.request(t, http.MethodPost, "http://users/", "body", true)
	resp, err := retry.Transport(p, failover.Transport(g, good.Client().Transport)).RoundTrip(req)
	if got := text(t, resp, err); got != "200 body" || a.left() != 0 {
		t.Error(got, a.left())
	}
}

// A Snapshot comes back from its JSON as it was.
func TestSnapshotJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := targets(3)
		ts[2].Priority, ts[2].Weight = 1, 2.5
		g := failover.MustNew(failover.Config[int]{Name: "users", Targets: ts, Balance: failover.PeakEWMA, ConsecutiveFailures: 1})
		for range 10 {
			_ = g.Run(t.Context(), func(_ context.Context, i int) error {
				time.Sleep(3 * time.Millisecond)
				return []error{errDown, nil, nil}[i]
			})
		}
		l, err := g.Pick(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Done(nil)
		want := g.Snapshot()
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got failover.Snapshot
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*failover.Snapshot{&got, &want} { // times without their clock readings
			s.At = s.At.Round(0).UTC()
			for i := range s.Targets {
				s.Targets[i].Since, s.Targets[i].Until = s.Targets[i].Since.Round(0).UTC(), s.Targets[i].Until.Round(0).UTC()
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%+v\n%+v", text, got, want)
		}
		if want.Targets[0].State != failover.Ejected || want.Targets[1].InFlight+want.Targets[2].InFlight != 1 || want.Targets[1].Latency.Mean == 0 {
			t.Errorf("%+v says too little for this test", want)
		}
	})
	var s failover.State
	if err := s.UnmarshalText([]byte("dead")); err == nil {
		t.Error("dead is no state")
	}
}
