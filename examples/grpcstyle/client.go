package main

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// call is a method of a gRPC client, without its options.
type call[In, Out any] func(context.Context, *In) (*Out, error)

// middleware is what an interceptor is to gRPC: it makes a call from a call.
type middleware[In, Out any] func(call[In, Out]) call[In, Out]

// chain puts a call under some middleware, the first outermost.
func chain[In, Out any](c call[In, Out], layers ...middleware[In, Out]) call[In, Out] {
	for i := len(layers) - 1; i >= 0; i-- {
		c = layers[i](c)
	}
	return c
}

// retrying and guarded turn a policy into middleware. Wrap takes any function of this shape, and gives one back.
func retrying[In, Out any](p *retry.Policy) middleware[In, Out] {
	return func(next call[In, Out]) call[In, Out] { return retry.Wrap(p, next) }
}

func guarded[In, Out any](b *breaker.Breaker) middleware[In, Out] {
	return func(next call[In, Out]) call[In, Out] { return breaker.Wrap(b, next) }
}

// client is the users' service with its policies. The stacks are built here, once; calls only go through them.
type client struct {
	getUser    call[getUserRequest, user]
	createUser call[createUserRequest, user]
	breaker    *breaker.Breaker
}

func newClient(s *service) (*client, error) {
	budget, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		return nil, err
	}
	retries, err := retry.New(retry.Config{
		Name:           "users",
		BaseDelay:      5 * time.Millisecond, // the service answers in microseconds; the default is for networks
		AttemptTimeout: time.Second,          // thousands of times what an answer takes
		RetryIf:        retryable,
		Budget:         budget,
	})
	if err != nil {
		return nil, err
	}
	b, err := breaker.New(breaker.Config{Name: "users", Classify: classify})
	if err != nil {
		return nil, err
	}
	var once *retry.Policy // a nil policy passes calls through: creating a user must not be done twice
	return &client{
		getUser: chain(s.getUser,
			statusOf[getUserRequest, user],
			retrying[getUserRequest, user](retries),
			guarded[getUserRequest, user](b)),
		createUser: chain(s.createUser,
			statusOf[createUserRequest, user],
			retrying[createUserRequest, user](once),
			guarded[createUserRequest, user](b)),
		breaker: b,
	}, nil
}
