package cause_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/cause"
)

var errWhy = errors.New("the user has gone")

// The end of a context keeps the caller's cause and the plain context error, and says what it was in words.
func TestOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled, cancel := context.WithCancelCause(t.Context())
		cancel(errWhy)
		plain, stop := context.WithCancel(t.Context())
		stop()
		late, end := context.WithTimeoutCause(t.Context(), time.Second, errWhy)
		defer end()
		plainLate, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		<-late.Done()
		<-plainLate.Done()
		for _, test := range []struct {
			name    string
			policy  string
			ctx     context.Context
			text    string
			is      []error
			not     error
			timeout bool
		}{
			{"a cause", "retry payments", cancelled, "retry payments: the user has gone", []error{errWhy, context.Canceled}, context.DeadlineExceeded, false},
			{"no policy", "", cancelled, "the user has gone", []error{errWhy, context.Canceled}, context.DeadlineExceeded, false},
			{"no cause", "breaker", plain, "breaker: context canceled", []error{context.Canceled}, errWhy, false},
			{"late for a cause", "retry", late, "retry: the user has gone", []error{errWhy, context.DeadlineExceeded}, context.Canceled, true},
			{"late", "retry", plainLate, "retry: context deadline exceeded", []error{context.DeadlineExceeded}, context.Canceled, true},
		} {
			err := cause.Of(test.policy, test.ctx)
			if err.Error() != test.text {
				t.Errorf("%s: %q, want %q", test.name, err, test.text)
			}
			for _, want := range test.is {
				if !errors.Is(err, want) {
					t.Errorf("%s: it is not %v", test.name, want)
				}
			}
			if errors.Is(err, test.not) {
				t.Errorf("%s: it is %v too", test.name, test.not)
			}
			// As http.Client has it: net/url asks by a plain type assertion.
			asked := &url.Error{Err: err}
			if asked.Timeout() != test.timeout || asked.Temporary() != test.timeout {
				t.Errorf("%s: Timeout %v, Temporary %v, want %v", test.name, asked.Timeout(), asked.Temporary(), test.timeout)
			}
		}
	})
}
