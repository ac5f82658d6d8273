package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// code and status stand in for google.golang.org/grpc/codes and status, so that this recipe needs no module.
type code string

const (
	canceled           code = "Canceled"
	unavailable        code = "Unavailable"
	deadlineExceeded   code = "DeadlineExceeded"
	resourceExhausted  code = "ResourceExhausted"
	internal           code = "Internal"
	unknown            code = "Unknown"
	dataLoss           code = "DataLoss"
	notFound           code = "NotFound"
	failedPrecondition code = "FailedPrecondition"
)

type status struct {
	code    code
	message string
}

func (s *status) Error() string { return fmt.Sprintf("%s: %s", s.code, s.message) }

func codeOf(err error) (code, bool) {
	if s, ok := errors.AsType[*status](err); ok {
		return s.code, true
	}
	return "", false
}

// retryable: of all codes only Unavailable is safe to repeat by convention, and even that may have been carried out: so
// only methods that may run twice get a retry. Ask Retryable too: a refusal of the breaker carries the status that
// opened it, and would look like one.
func retryable(err error) bool {
	c, ok := codeOf(err)
	return retry.Retryable(err) && (!ok || c == unavailable)
}

// classify: a server that says that there is no such user is well. Only the codes that speak of the server count.
func classify(err error) breaker.Outcome {
	verdict := breaker.DefaultClassify(err)
	c, ok := codeOf(err)
	switch {
	case verdict != breaker.Failure || !ok:
		return verdict
	case c == canceled:
		return breaker.Ignored
	case slices.Contains([]code{unavailable, deadlineExceeded, resourceExhausted, internal, unknown, dataLoss}, c):
		return breaker.Failure
	default:
		return breaker.Success
	}
}

// statusOf turns what the policies say into what callers of a gRPC client know. The error itself stays reachable.
func statusOf[In, Out any](next call[In, Out]) call[In, Out] {
	return func(ctx context.Context, in *In) (*Out, error) {
		out, err := next(ctx, in)
		if errors.Is(err, breaker.ErrOpen) {
			return out, fmt.Errorf("%w: %w", &status{unavailable, "not called"}, err)
		}
		return out, err
	}
}
