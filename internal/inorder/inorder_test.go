package inorder_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/inorder"
)

// box is something that is told of.
type box struct {
	mu    sync.Mutex
	queue inorder.Queue[int]
	last  int
}

func (b *box) happen() {
	b.mu.Lock()
	b.last++
	b.queue.Put(b.last)
	b.mu.Unlock()
}

// All is told, in order and one at a time, whoever delivers.
func TestOrder(t *testing.T) {
	const goroutines, each = 50, 200
	var b box
	var told []int // only one at a time writes: the race detector looks
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				b.happen()
				b.queue.Deliver(&b.mu, func(n int) { told = append(told, n) })
			}
		})
	}
	all.Wait()
	if len(told) != goroutines*each || !slices.IsSorted(told) || b.queue.Len() != 0 {
		t.Errorf("%d of %d told, sorted %v, %d left", len(told), goroutines*each, slices.IsSorted(told), b.queue.Len())
	}
}

// What tell itself brings about is told after what was there before.
func TestFromWithin(t *testing.T) {
	var b box
	b.happen()
	b.happen()
	var told []int
	var tell func(int)
	tell = func(n int) {
		told = append(told, n)
		if n == 1 {
			b.happen()
			b.queue.Deliver(&b.mu, tell)
		}
	}
	b.queue.Deliver(&b.mu, tell)
	if !slices.Equal(told, []int{1, 2, 3}) {
		t.Errorf("told %v", told)
	}
}

// The rest is told although one of them panics, or ends its goroutine, and no lock is held after it.
func TestPanics(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("of a callback") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var b box
			b.happen()
			b.happen()
			var told []int
			over := make(chan any)
			go func() {
				defer func() { over <- recover() }()
				b.queue.Deliver(&b.mu, func(n int) {
					told = append(told, n)
					if n == 1 {
						leave()
					}
				})
			}()
			if got := <-over; (got != nil) != (name == "panic") {
				t.Errorf("recovered %v", got)
			}
			b.happen()
			b.queue.Deliver(&b.mu, func(n int) { told = append(told, n) })
			if !slices.Equal(told, []int{1, 2, 3}) {
				t.Errorf("told %v", told)
			}
		})
	}
}
