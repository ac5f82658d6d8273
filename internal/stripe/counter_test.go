package stripe_test

import (
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/stripe"
)

// Nothing that is added is lost, however many add, and while others take.
func TestCounterUnderContention(t *testing.T) {
	const goroutines, each = 50, 2000
	var c stripe.Counter
	var adding, taking sync.WaitGroup
	var taken uint64
	stop := make(chan struct{})
	taking.Go(func() {
		for {
			taken += c.Take()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range goroutines {
		adding.Go(func() {
			for range each {
				c.Add()
				c.AddN(3)
			}
		})
	}
	adding.Wait()
	close(stop)
	taking.Wait()
	if got := taken + c.Load(); got != 4*goroutines*each {
		t.Errorf("taken %d, left %d: want %d in all", taken, c.Load(), 4*goroutines*each)
	}
}

func TestCounterAlone(t *testing.T) {
	var c stripe.Counter
	c.Store(40)
	c.Add()
	c.Add()
	if got := c.Load(); got != 42 {
		t.Errorf("Load() = %d, want 42", got)
	}
	if got := c.Take(); got != 42 || c.Load() != 0 {
		t.Errorf("Take() = %d and left %d, want 42 and 0", got, c.Load())
	}
	if n := testing.AllocsPerRun(100, c.Add); n != 0 {
		t.Errorf("Add makes %v allocations, want none", n)
	}
}

func TestCounterAddN(t *testing.T) {
	var c stripe.Counter
	c.AddN(40)
	c.AddN(0)
	c.AddN(2)
	if got := c.Load(); got != 42 {
		t.Errorf("Load() = %d, want 42", got)
	}
	if n := testing.AllocsPerRun(100, func() { c.AddN(7) }); n != 0 {
		t.Errorf("AddN makes %v allocations, want none", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	b.Run("1core", func(b *testing.B) {
		var c stripe.Counter
		for b.Loop() {
			c.Add()
		}
	})
	b.Run("2cores", func(b *testing.B) {
		var c stripe.Counter
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Add()
			}
		})
	})
}

// Of one goroutine tickets follow one another; of several each row does, and no ticket is lost.
func TestTicket(t *testing.T) {
	var c stripe.Counter
	for want := range uint64(100) {
		if got := c.Ticket(); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	}
	const goroutines, each = 50, 1000
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				c.Ticket()
			}
		})
	}
	all.Wait()
	if n := c.Load(); n != 100+goroutines*each {
		t.Errorf("%d tickets, want %d", n, 100+goroutines*each)
	}
}
