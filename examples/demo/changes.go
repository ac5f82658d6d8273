package main

import (
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/breaker"
)

// changes takes down what the breakers did.
type changes struct {
	mu     sync.Mutex
	events []breaker.Event
}

func (c *changes) add(e breaker.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

// of is how many transitions the breaker of a host made, and how many of them were to open.
func (c *changes) of(host string) (transitions, opened int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if !strings.HasSuffix(e.Name, "["+host+"]") { // demo[127.0.0.1:8080]
			continue
		}
		transitions++
		if e.To == breaker.Open {
			opened++
		}
	}
	return transitions, opened
}
