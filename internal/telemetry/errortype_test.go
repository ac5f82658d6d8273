package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

// unnamed has the method and no word.
type unnamed struct{ error }

func (unnamed) ErrorType() string { return "" }

func TestErrorType(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{errBoom, "_OTHER"},
		{typed{}, "quota"},
		{fmt.Errorf("charge: %w", typed{}), "quota"},
		{errors.Join(errBoom, typed{}), "quota"},
		{errors.Join(context.Canceled, typed{}), "quota"}, // who has a word, knows best
		{unnamed{errBoom}, "_OTHER"},
		{unnamed{context.Canceled}, "_OTHER"},
		{context.Canceled, "canceled"},
		{context.DeadlineExceeded, "timeout"},
		{fmt.Errorf("charge: %w", context.Canceled), "canceled"},
		{os.ErrDeadlineExceeded, "timeout"},
		{&url.Error{Op: "Get", URL: "http://x/", Err: context.DeadlineExceeded}, "timeout"},
		{&net.DNSError{IsTimeout: true}, "timeout"},
		{&net.DNSError{}, "_OTHER"},
		{telemetry.ErrAborted, "panic"},
		{&retry.Error{Err: typed{}, Reason: retry.ErrAttempts}, "quota"},
		{&retry.Error{Err: errBoom, Reason: context.Canceled}, "canceled"},
		{&breaker.OpenError{State: breaker.Open}, "breaker_open"},
		{&breaker.OpenError{State: breaker.HalfOpen, Cause: typed{}}, "breaker_half_open"},
		{&breaker.StatusError{StatusCode: 503}, "503"},
	}
	for _, test := range tests {
		if got := telemetry.ErrorType(test.err); got != test.want {
			t.Errorf("%T %v: %q, want %q", test.err, test.err, got, test.want)
		}
	}
}
