package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

var errShutdown = errors.New("we are closing")

// takes is a function that takes d.
func takes(d time.Duration) func(context.Context) error {
	return func(context.Context) error { time.Sleep(d); return nil }
}

// waits has a call wait in the queue, and returns when it does. What it comes to is to be had from the channel.
func waits(ctx context.Context, b *bulkhead.Bulkhead) <-chan error {
	result := make(chan error, 1)
	go func() { result <- b.Run(ctx, takes(10*time.Millisecond)) }()
	synctest.Wait()
	return result
}

// hold takes a place.
func hold(t *testing.T, b *bulkhead.Bulkhead) bulkhead.Permit {
	t.Helper()
	p, err := b.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refused is the refusal that err is, or has in it.
func refused(t *testing.T, err error) *bulkhead.FullError {
	t.Helper()
	full, ok := errors.AsType[*bulkhead.FullError](err)
	if !ok || !errors.Is(err, bulkhead.ErrFull) {
		t.Fatalf("%v: want a FullError", err)
	}
	return full
}

// TestFullError has each reason brought about: how a call is refused that wants the one place of a bulkhead which is taken,
// and whose calls take 10 ms.
func TestFullError(t *testing.T) {
	tests := []struct {
		reason bulkhead.Reason
		config bulkhead.Config
		refuse func(ctx context.Context, b *bulkhead.Bulkhead, held bulkhead.Permit) error
		text   string
		word   string
		again  time.Duration // RetryAfter
	}{
		{
			reason: bulkhead.ReasonFull,
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, _ bulkhead.Permit) error { return b.Run(ctx, takes(0)) },
			text:   "bulkhead slots: full",
			word:   "bulkhead_full",
			again:  10 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonQueue,
			config: bulkhead.Config{Queue: 1},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, _ bulkhead.Permit) error {
				waits(ctx, b)
				return b.Run(ctx, takes(0))
			},
			text:  "bulkhead slots: the queue is full",
			word:  "bulkhead_queue_full",
			again: 20 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonMaxWait,
			config: bulkhead.Config{Queue: 1, MaxWait: 5 * time.Millisecond},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, _ bulkhead.Permit) error { return b.Run(ctx, takes(0)) },
			text:   "bulkhead slots: no place in time after waiting for 5ms",
			word:   "bulkhead_max_wait",
			again:  10 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonOverload,
			config: bulkhead.Config{Queue: 5},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, held bulkhead.Permit) error {
				older := waits(ctx, b)
				time.Sleep(150 * time.Millisecond)
				waits(ctx, b) // newer: it goes first
				held.Done(nil)
				return <-older
			},
			text:  "bulkhead slots: overloaded after waiting for 150ms",
			word:  "bulkhead_overload",
			again: 10 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonDeadline,
			config: bulkhead.Config{Queue: 5},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, _ bulkhead.Permit) error {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
				defer cancel()
				return b.Run(ctx, takes(0))
			},
			text:  "bulkhead slots: the deadline would pass before it was done",
			word:  "bulkhead_deadline",
			again: 10 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonPriority,
			config: bulkhead.Config{Queue: 1},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, _ bulkhead.Permit) error {
				lower := waits(bulkhead.WithPriority(ctx, bulkhead.Sheddable), b)
				time.Sleep(time.Millisecond)
				waits(bulkhead.WithPriority(ctx, bulkhead.Critical), b)
				return <-lower
			},
			text:  "bulkhead slots: full, what matters more goes first after waiting for 1ms",
			word:  "bulkhead_priority",
			again: 20 * time.Millisecond,
		},
		{
			reason: bulkhead.ReasonRate,
			config: bulkhead.Config{Rate: 4, Burst: 2},
			refuse: func(ctx context.Context, b *bulkhead.Bulkhead, held bulkhead.Permit) error {
				held.Done(nil)
				return b.Run(ctx, takes(0))
			},
			text:  "bulkhead slots: too many calls a second",
			word:  "bulkhead_rate",
			again: 240 * time.Millisecond, // a token each 250 ms, and 10 of them are over
		},
	}
	for _, test := range tests {
		t.Run(test.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.config.Name, test.config.Limit = "slots", 1
				b := bulkhead.MustNew(test.config)
				ctx, cancel := context.WithCancel(t.Context())
				if err := b.Run(ctx, takes(10*time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				err := test.refuse(ctx, b, hold(t, b))
				full := refused(t, fmt.Errorf("load the page: %w", err))
				if full.Reason != test.reason || full.Name != "slots" || full.Error() != test.text || full.ErrorType() != test.word {
					t.Errorf("%+v: %v (%s), want %v (%s)", full.Reason, full, full.ErrorType(), test.text, test.word)
				}
				if d := full.RetryAfter(); d != test.again {
					t.Errorf("retry after %v, want %v", d, test.again)
				}
				if !full.Refused() || full.Timeout() || !full.Temporary() || full.Exhausted() || full.Unwrap() != nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v: refused %v, timeout %v, temporary %v, exhausted %v, unwraps to %v",
						full, full.Refused(), full.Timeout(), full.Temporary(), full.Exhausted(), full.Unwrap())
				}
				cancel()
				time.Sleep(time.Second) // those that are under way come to their end
				if s := b.Snapshot(); s.RefusedBy[test.reason] != 1 || s.Refused != 1 {
					t.Errorf("refused by %v", s.RefusedBy)
				}
			})
		})
	}
}

// TestFullErrorTotal: the text and the counts are the key's, the time to come back is the total's.
func TestFullErrorTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Name: "tenants", Limit: 2}, Total: 2})
		for _, d := range []time.Duration{40 * time.Millisecond, 40 * time.Millisecond} {
			if err := k.Get("a").Run(t.Context(), takes(d)); err != nil {
				t.Fatal(err)
			}
		}
		defer hold(t, k.Get("a")).Done(nil)
		defer hold(t, k.Get("a")).Done(nil)
		full := refused(t, k.Get("b").Run(t.Context(), takes(0)))
		if got, want := full.Error(), "bulkhead tenants[b]: all keys together are full"; got != want || full.Reason != bulkhead.ReasonTotal || full.ErrorType() != "bulkhead_total" {
			t.Errorf("%v (%v, %s), want %s", got, full.Reason, full.ErrorType(), want)
		}
		if d := full.RetryAfter(); d != 20*time.Millisecond {
			t.Errorf("retry after %v: want 20ms, which is when one of two places that are held for 40ms is likely to be free", d)
		}
	})
}

// TestFullErrorRateAndPlaces: who waits both for a place and for the rate comes back when there will be both.
func TestFullErrorRateAndPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1, Rate: 10, Burst: 2})
		ctx, cancel := context.WithCancel(t.Context())
		if err := b.Run(ctx, takes(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		hold(t, b)
		result := waits(ctx, b)
		defer func() { cancel(); <-result }()
		full := refused(t, b.Run(ctx, takes(0)))
		if d := full.RetryAfter(); full.Reason != bulkhead.ReasonQueue || d != 190*time.Millisecond {
			t.Errorf("%v, retry after %v: want 190ms, the second token from now", full, d)
		}
	})
}

// TestFullErrorEnded: a call whose context ends while it waits was not made, and says why.
func TestFullErrorEnded(t *testing.T) {
	for _, test := range []struct {
		name    string
		end     func(context.Context) (context.Context, func())
		is      error
		isNot   error
		text    string
		word    string
		timeout bool
	}{
		{
			name: "cancelled",
			end: func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(7*time.Millisecond, func() { cancel(errShutdown) })
				return ctx, func() { cancel(nil) }
			},
			is: context.Canceled, isNot: context.DeadlineExceeded,
			text: "bulkhead slots: we are closing after waiting for 7ms",
			word: "canceled",
		},
		{
			name: "deadline",
			end: func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithTimeoutCause(ctx, 7*time.Millisecond, errShutdown)
				return ctx, cancel
			},
			is: context.DeadlineExceeded, isNot: context.Canceled,
			text:    "bulkhead slots: we are closing after waiting for 7ms",
			word:    "timeout",
			timeout: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1, Queue: 1})
				if err := b.Run(t.Context(), takes(time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				defer hold(t, b).Done(nil)
				ctx, cancel := test.end(t.Context())
				defer cancel()
				err := b.Run(ctx, takes(0))
				full := refused(t, err)
				if !errors.Is(err, test.is) || !errors.Is(err, errShutdown) || errors.Is(err, test.isNot) {
					t.Errorf("%v: want it to be the cause, and %v", err, test.is)
				}
				if full.Reason != bulkhead.ReasonEnded || full.Error() != test.text || full.ErrorType() != test.word || full.Waited != 7*time.Millisecond {
					t.Errorf("%v %v (%s), want %s", full.Reason, full, full.ErrorType(), test.text)
				}
				var asNet net.Error
				if !errors.As(err, &asNet) || asNet.Timeout() != test.timeout || full.RetryAfter() != 0 || !full.Refused() {
					t.Errorf("timeout %v, retry after %v, refused %v", full.Timeout(), full.RetryAfter(), full.Refused())
				}
				if s := b.Snapshot(); s.Refused != 0 || s.Ignored != 1 || s.Queued != 0 || s.Waited != 1 {
					t.Errorf("it was the caller's end, and no refusal: %+v", s)
				}
			})
		})
	}
}

// TestFullErrorInClient: http.Client asks the outermost error alone whether it was a timeout.
func TestFullErrorInClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		defer hold(t, b).Done(nil)
		client := &http.Client{Transport: bulkhead.Transport(b, nil)}
		get := func(limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:1/", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Do(req)
			return err
		}
		err := get(time.Second)
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() || !errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("%v: want a timeout", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := waits(ctx, b)
		defer func() { cancel(); <-result }()
		err = get(time.Second) // the queue is full: refused at once
		if timeout, ok := err.(net.Error); !ok || timeout.Timeout() || !errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("%v: want no timeout", err)
		}
	})
}

// TestFullErrorByHand: others may make one, in a test of their own.
func TestFullErrorByHand(t *testing.T) {
	for _, test := range []struct {
		err        *bulkhead.FullError
		text, word string
	}{
		{&bulkhead.FullError{}, "bulkhead: full", "bulkhead_full"},
		{&bulkhead.FullError{Name: "slots", Reason: bulkhead.ReasonRate}, "bulkhead slots: too many calls a second", "bulkhead_rate"},
		{&bulkhead.FullError{Name: "slots", Reason: 200, Waited: 1234567 * time.Microsecond}, "bulkhead slots: full after waiting for 1.235s", "bulkhead_full"},
		{&bulkhead.FullError{Waited: 1234567}, "bulkhead: full after waiting for 1.234ms", "bulkhead_full"},
		{&bulkhead.FullError{Waited: 12}, "bulkhead: full after waiting for 12ns", "bulkhead_full"},
		{&bulkhead.FullError{Reason: bulkhead.ReasonEnded}, "bulkhead: the context ended", "bulkhead_ended"},
		{&bulkhead.FullError{Reason: bulkhead.ReasonEnded, Cause: errShutdown}, "bulkhead: we are closing", "_OTHER"},
	} {
		if got := test.err.Error(); got != test.text || test.err.ErrorType() != test.word || test.err.RetryAfter() != 0 {
			t.Errorf("%q (%s), retry after %v: want %q (%s)", got, test.err.ErrorType(), test.err.RetryAfter(), test.text, test.word)
		}
		if !errors.Is(errors.Join(errShutdown, test.err), bulkhead.ErrFull) {
			t.Errorf("%v is not ErrFull", test.err)
		}
	}
}

// TestFullErrorIsShared: a refusal without a wait allocates nothing, whatever its reason.
func TestFullErrorIsShared(t *testing.T) {
	full := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	hold(t, full)
	rate := bulkhead.MustNew(bulkhead.Config{Limit: 1, Rate: 1e-6})
	hold(t, rate).Done(nil)
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 1}, Total: 1})
	hold(t, k.Get("a"))
	for name, b := range map[string]*bulkhead.Bulkhead{"full": full, "rate": rate, "share": k.Get("a"), "total": k.Get("b")} {
		first := b.Run(t.Context(), takes(0))
		if again := b.Run(t.Context(), takes(0)); again != first {
			t.Errorf("%s: %p and %p", name, first, again)
		}
		if raceEnabled {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = b.TryAcquire() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestFullErrorIsPrinted while calls come and go: an error knows its bulkhead, and yet is a value to be read by anybody. With
// -race.
func TestFullErrorIsPrinted(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 2, Queue: 1, MaxWait: time.Millisecond, Rate: 1e6})
	hold(t, b)
	hold(t, b)
	err := b.Run(t.Context(), takes(0))
	full := refused(t, err)
	if err := b.Resize(4); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = b.Run(context.Background(), takes(0))
				}
			}
		})
	}
	for range 1000 {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if s := fmt.Sprintf(format, err); s == "" || len(s) > 500 {
				t.Fatalf("%s: %s", format, s)
			}
		}
		if s := fmt.Sprintf("%+v %#v", *full, *full); strings.Contains(s, "mu:") {
			t.Fatal(s)
		}
		if _, err := json.Marshal(full); err != nil {
			t.Fatal(err)
		}
		full.RetryAfter()
	}
	close(stop)
	busy.Wait()
}

func TestReasonText(t *testing.T) {
	for r := bulkhead.ReasonFull; r <= bulkhead.ReasonEnded; r++ {
		text, err := r.MarshalText()
		var again bulkhead.Reason
		if err != nil || string(text) != r.String() || again.UnmarshalText(text) != nil || again != r {
			t.Errorf("%v: written as %s (%v), read as %v", r, text, err, again)
		}
	}
	r := bulkhead.ReasonRate
	for _, text := range []string{"", "Full", "unknown", "Reason(200)"} {
		if err := r.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "want full, queue_full") || r != bulkhead.ReasonRate {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	if s := bulkhead.Reason(200).String(); s != "Reason(200)" {
		t.Error(s)
	}
}
