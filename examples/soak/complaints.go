package main

import (
	"fmt"
	"sync"
)

// complaints are what was not as it should be in one world. Many goroutines may have some.
type complaints struct {
	mu   sync.Mutex
	all  []string
	more int // that are not in it
}

// most is enough of one world.
const most = 8

func (c *complaints) add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) == most {
		c.more++
		return
	}
	c.all = append(c.all, text)
}

func (c *complaints) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := append([]string(nil), c.all...)
	if c.more > 0 {
		all = append(all, fmt.Sprintf("and %d more of this combination", c.more))
	}
	return all
}

func (w *world) complain(format string, args ...any) { w.complaints.add(fmt.Sprintf(format, args...)) }
