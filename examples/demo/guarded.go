package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// guarded is the client under holdfast: retries outside, a breaker for each host inside.
func guarded(transport http.RoundTripper, onChange func(breaker.Event)) (*http.Client, error) {
	// In the long run one retry for eight successes (the default), and at first as many as calls come in a second.
	budget, err := retry.NewBudget(retry.BudgetConfig{Capacity: 300})
	if err != nil {
		return nil, err
	}
	retries, err := retry.New(retry.Config{
		Name:           "demo",
		MaxAttempts:    5,
		BaseDelay:      50 * time.Millisecond,
		AttemptTimeout: 250 * time.Millisecond,
		Budget:         budget,
		// By default a refusal is not retried. These breakers open for a fraction of the time that a caller has, who
		// may as well wait: that costs the backend no request.
		RetryIf: func(err error) bool { return isRefusal(err) || retry.Retryable(err) },
	})
	if err != nil {
		return nil, err
	}
	// A few hundred calls a second and outages of a fraction of one: hence more failures and shorter times than the
	// defaults, which suit what fails for seconds and minutes.
	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{
		Name:                "demo",
		ConsecutiveFailures: 15,
		OpenFor:             100 * time.Millisecond,
		MaxOpenFor:          400 * time.Millisecond,
		OnStateChange:       onChange,
	}})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: retry.Transport(retries, breaker.Transport(hosts, transport))}, nil
}

func isRefusal(err error) bool { return errors.Is(err, breaker.ErrOpen) }
