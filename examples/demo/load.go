package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// pace starts calls when they are due, each in its goroutine, whether or not earlier ones have ended: users do not wait
// for each other either. It counts from 0 up to n, or until ctx is done. With limit calls in flight, shed is called
// in place of call. It returns when the last call has.
func pace(ctx context.Context, n int, due func(i int) time.Duration, limit int, call, shed func(i int)) {
	var calls sync.WaitGroup
	defer calls.Wait()
	slots := make(chan struct{}, limit)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range n {
		// From the start and not from the call before, so that no delay adds up.
		timer.Reset(time.Until(start.Add(due(i))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case slots <- struct{}{}:
			calls.Go(func() {
				defer func() { <-slots }()
				call(i)
			})
		default:
			shed(i)
		}
	}
}

// steady is when calls are due at a fixed rate a second.
func steady(rate int) func(i int) time.Duration {
	return func(i int) time.Duration { return time.Duration(i) * time.Second / time.Duration(rate) }
}

// ending is how a call ended.
type ending int

const (
	succeeded ending = iota
	failed           // an error, or a status other than 200
	refused          // failed, and the last thing it met was an open breaker or a full bulkhead
	shed             // never started: too many calls in flight
)

// get makes one call as a service would: with a deadline, reading the whole answer.
func get(ctx context.Context, client *http.Client, url string, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return fetch(ctx, client, url)
}

// fetch is get under whatever deadline ctx has.
func fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.Status)
	}
	return nil
}

type statusError string

func (e statusError) Error() string { return string(e) }
