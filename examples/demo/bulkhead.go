package main

import (
	"net/http"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// The queue is as long as what the workers do in less than half of a caller's patience: the last in it is still in time.
const (
	queue   = 4 * workers
	maxWait = patience / 2
)

// behindBulkhead lets in what the workers can do, and refuses the rest at once.
func behindBulkhead(mux http.Handler) (http.Handler, error) {
	b, err := bulkhead.New(bulkhead.Config{Name: "demo", Limit: workers, Queue: queue, MaxWait: maxWait})
	if err != nil {
		return nil, err
	}
	return bulkhead.Handler(b, mux), nil
}
