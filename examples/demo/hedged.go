package main

import (
	"context"
	"strconv"

	"github.com/holdfast-go/holdfast/hedge"
)

// extraLoad is what hedging may cost, in requests for each call.
const extraLoad = 0.05

func newHedge() (*hedge.Policy, error) {
	return hedge.New(hedge.Config{Name: "demo", MaxExtraLoad: extraLoad})
}

// call makes call i. The replicas take turns; a second attempt asks the one after that of the first, for the same replica
// would be as slow again.
func (l *lane) call(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, tailPatience)
	defer cancel()
	return l.policy.Run(ctx, func(ctx context.Context) error { // a nil policy: as if it were not there
		turn := i + hedge.AttemptFrom(ctx) - 1
		return l.ask(ctx, l.replicas[turn%len(l.replicas)].url()+strconv.Itoa(i))
	})
}
