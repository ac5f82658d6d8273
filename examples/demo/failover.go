package main

import (
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// A server that is down is left alone for a twentieth of the run, and when it still is, for a tenth. One that is back takes a
// fifth of the run to get its full share. (The defaults, 5 s to a minute and 10 s, are for more than a demo.)
func ejectFor(lasts time.Duration) time.Duration  { return lasts / 20 }
func slowStart(lasts time.Duration) time.Duration { return lasts / 5 }

func newGroup(lasts time.Duration, targets []failover.Target[*url.URL], onChange func(failover.Event)) (*failover.Group[*url.URL], error) {
	return failover.New(failover.Config[*url.URL]{
		Name:        "demo",
		Targets:     targets,
		Balance:     failover.RoundRobin,
		EjectFor:    ejectFor(lasts),
		MaxEjectFor: 2 * ejectFor(lasts),
		SlowStart:   slowStart(lasts),
		OnChange:    onChange,
	})
}
