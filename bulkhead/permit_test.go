package bulkhead_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// permitConfigs are the ways in which a bulkhead keeps its places.
var permitConfigs = map[string]bulkhead.Config{
	"plain":        {Limit: 2},
	"with a queue": {Limit: 2, Queue: 1},
	"with a rate":  {Limit: 2, Rate: 1e6, Burst: 1e6},
	"adaptive":     {Adaptive: &bulkhead.Adaptive{Min: 2, Max: 2, Initial: 2}},
}

// eachPermit calls f with the permits of a bulkhead: of both doors, timed and not timed, from a free place and from the
// hand of another.
func eachPermit(t *testing.T, f func(t *testing.T, b *bulkhead.Bulkhead, acquire func() bulkhead.Permit)) {
	doors := map[string]func(b *bulkhead.Bulkhead) (bulkhead.Permit, error){
		"Acquire":    func(b *bulkhead.Bulkhead) (bulkhead.Permit, error) { return b.Acquire(context.Background()) },
		"TryAcquire": (*bulkhead.Bulkhead).TryAcquire,
	}
	for name, c := range permitConfigs {
		for door, open := range doors {
			t.Run(name+"/"+door, func(t *testing.T) {
				b := bulkhead.MustNew(c)
				f(t, b, func() bulkhead.Permit {
					t.Helper()
					p, err := open(b)
					if err != nil {
						t.Fatal(err)
					}
					return p
				})
			})
		}
	}
}

func TestDoneTwice(t *testing.T) {
	eachPermit(t, func(t *testing.T, b *bulkhead.Bulkhead, acquire func() bulkhead.Permit) {
		for range 200 { // that one use of a slot is timed, and another is not, makes no difference
			p := acquire()
			other := acquire()
			p.Done(nil)
			p.Done(nil)
			p.Done(errors.New("again"))
			if s := b.Snapshot(); s.InUse != 1 {
				t.Fatalf("%d in use, want 1", s.InUse)
			}
			other.Done(nil)
		}
		if s := b.Snapshot(); s.Successes != 400 || s.Failures != 0 || s.InUse != 0 {
			t.Errorf("%+v", s)
		}
		giveBack(takeAll(t, b, 2))
	})
}

// TestDoneOfACopyLater: the slot is in use by another by then, who keeps it.
func TestDoneOfACopyLater(t *testing.T) {
	eachPermit(t, func(t *testing.T, b *bulkhead.Bulkhead, acquire func() bulkhead.Permit) {
		var old []bulkhead.Permit
		for i := range 200 {
			p, q := acquire(), acquire()
			for _, o := range old {
				o.Done(errors.New("long ago"))
			}
			if s := b.Snapshot(); s.InUse != 2 || s.Successes != uint64(2*i) {
				t.Fatalf("round %d: %d in use, %d successes", i, s.InUse, s.Successes)
			}
			if _, err := b.TryAcquire(); what(err) != "full" {
				t.Fatalf("one more: %q", what(err))
			}
			old = append(old, p, q)
			p.Done(nil)
			q.Done(nil)
		}
		if s := b.Snapshot(); s.Failures != 0 {
			t.Errorf("%d failures", s.Failures)
		}
	})
}

func TestDoneAtOnce(t *testing.T) {
	eachPermit(t, func(t *testing.T, b *bulkhead.Bulkhead, acquire func() bulkhead.Permit) {
		const rounds, hands = 50, 8
		for range rounds {
			p := acquire()
			var all sync.WaitGroup
			for i := range hands {
				all.Go(func() {
					for range i {
						runtime.Gosched()
					}
					p.Done(nil)
				})
			}
			all.Wait()
		}
		if s := b.Snapshot(); s.Successes != rounds || s.InUse != 0 {
			t.Errorf("%+v", s)
		}
		giveBack(takeAll(t, b, 2))
	})
}

// TestDoneLetsOneIn: as many as permits are given back, however often.
func TestDoneLetsOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2, Queue: 10, Interval: -1})
		l := &line{t: t, b: b, holds: time.Hour}
		all := takeAll(t, b, 2)
		for _, name := range []string{"a", "b", "c"} {
			l.join(name, bulkhead.Normal, 5*time.Hour)
		}
		for range 3 {
			all[0].Done(nil)
		}
		l.want("one is given back", "a")
		all[1].Done(nil)
		all[0].Done(nil)
		all[1].Done(nil)
		l.want("and another", "b")
		time.Sleep(3 * time.Hour)
		l.want("then", "c")
		giveBack(takeAll(t, b, 2))
	})
}

func TestDoneOutcomes(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	for _, err := range []error{
		nil, errors.New("boom"), context.DeadlineExceeded, context.Canceled, errors.Join(errors.New("boom"), context.Canceled),
		&bulkhead.FullError{Name: "below"},
	} {
		p, refusal := b.TryAcquire()
		if refusal != nil {
			t.Fatal(refusal)
		}
		p.Done(err)
	}
	if s := b.Snapshot(); s.Successes != 1 || s.Failures != 2 || s.Ignored != 3 || s.InUse != 0 {
		t.Errorf("%+v", s)
	}
}

// rude is an error whose methods panic.
type rude struct{}

func (rude) Error() string   { return "rude" }
func (rude) Is(error) bool   { panic("rude") }
func (rude) Unwrap() []error { panic("rude") }

// TestDoneOfARudeError: the place goes back, and it is in the books.
func TestDoneOfARudeError(t *testing.T) {
	eachPermit(t, func(t *testing.T, b *bulkhead.Bulkhead, acquire func() bulkhead.Permit) {
		for range 70 {
			p := acquire()
			func() {
				defer func() {
					if v := recover(); v != "rude" {
						t.Errorf("recovered %v", v)
					}
				}()
				p.Done(rude{})
			}()
		}
		if s := b.Snapshot(); s.Failures != 70 || s.Successes != 0 || s.InUse != 0 {
			t.Errorf("%+v", s)
		}
		giveBack(takeAll(t, b, 2))
	})
}

func TestZeroPermit(t *testing.T) {
	var p bulkhead.Permit
	p.Done(nil)
	p.Done(errors.New("boom"))
	b := busy(t, bulkhead.Config{})
	refused, err := b.TryAcquire()
	if err == nil {
		t.Fatal("one too many")
	}
	refused.Done(nil)
	if s := b.Snapshot(); s.InUse != 1 || s.Successes != 0 {
		t.Errorf("%+v", s)
	}
}

// TestNilBulkhead: it lets everything pass, in every door.
func TestNilBulkhead(t *testing.T) {
	var b *bulkhead.Bulkhead
	over, cancel := context.WithCancel(context.Background())
	cancel()
	boom := errors.New("boom")
	for _, ctx := range []context.Context{context.Background(), over} {
		for range 3 {
			p, err := b.Acquire(ctx)
			if err != nil {
				t.Error(err)
			}
			q, err := b.TryAcquire()
			if err != nil {
				t.Error(err)
			}
			p.Done(nil)
			q.Done(boom)
		}
		echo := func(got context.Context, n int) (int, error) {
			if got != ctx {
				t.Error("another context")
			}
			return n, boom
		}
		if n, err := bulkhead.Do(ctx, b, func(ctx context.Context) (int, error) { return echo(ctx, 7) }); n != 7 || err != boom {
			t.Errorf("Do: %d, %v", n, err)
		}
		if n, err := bulkhead.Wrap(b, echo)(ctx, 8); n != 8 || err != boom {
			t.Errorf("Wrap: %d, %v", n, err)
		}
		if err := b.Run(ctx, func(ctx context.Context) error { _, err := echo(ctx, 9); return err }); err != boom {
			t.Errorf("Run: %v", err)
		}
	}
	if err := b.Resize(0); err != nil {
		t.Errorf("Resize: %v", err)
	}
	if s := b.Snapshot(); s.InUse != 0 || s.Name != "" || !s.At.IsZero() {
		t.Errorf("Snapshot: %+v", s)
	}
}

// TestNilFunc: an error, or a panic where it is wrapped; and no place is lost.
func TestNilFunc(t *testing.T) {
	for _, b := range []*bulkhead.Bulkhead{nil, bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 1})} {
		for range 3 {
			if _, err := bulkhead.Do[int](context.Background(), b, nil); err == nil || !strings.Contains(err.Error(), "fn is nil") {
				t.Errorf("Do: %v", err)
			}
			if err := b.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "fn is nil") {
				t.Errorf("Run: %v", err)
			}
		}
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, "fn is nil") {
					t.Errorf("Wrap: %v", v)
				}
			}()
			bulkhead.Wrap[int, int](b, nil)
		}()
		if b != nil {
			giveBack(takeAll(t, b, 1))
		}
	}
}

// TestOverBefore: a call whose context is done does not begin, whether or not there is a place.
func TestOverBefore(t *testing.T) {
	reason := errors.New("we are closing")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(reason)
	for _, b := range []*bulkhead.Bulkhead{bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1}), busy(t, bulkhead.Config{Queue: 1})} {
		inUse := b.Snapshot().InUse
		_, err1 := b.Acquire(ctx)
		err2 := b.Run(ctx, func(context.Context) error { t.Error("called"); return nil })
		for _, err := range []error{err1, err2} {
			if !errors.Is(err, reason) || !errors.Is(err, context.Canceled) || errors.Is(err, bulkhead.ErrFull) {
				t.Errorf("%v", err)
			}
		}
		if s := b.Snapshot(); s.Ignored != 2 || s.Refused != 0 || s.InUse != inUse || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// TestNothingIsAllocated: on the way of a call that finds a place, and of one that is refused.
func TestNothingIsAllocated(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fn := func(context.Context) (int, error) { return 1, nil }
	free := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 10})
	one := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 10})
	rated := bulkhead.MustNew(bulkhead.Config{Limit: 10, Rate: 1e9, Burst: 1e9})
	adaptive := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: 5}})
	wrapped := bulkhead.Wrap(free, func(_ context.Context, n int) (int, error) { return n, nil })
	full := busy(t, bulkhead.Config{})
	fullQueue := busy(t, bulkhead.Config{Queue: 1})
	empty := bulkhead.MustNew(bulkhead.Config{Limit: 10, Rate: 1e-9, Burst: 1})
	if _, err := empty.TryAcquire(); err != nil {
		t.Fatal(err)
	}
	acquired := func(b *bulkhead.Bulkhead) func() {
		return func() {
			p, err := b.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Done(nil)
		}
	}
	refused := func(b *bulkhead.Bulkhead) func() {
		return func() {
			if p, err := b.TryAcquire(); err == nil {
				p.Done(nil)
				t.Fatal("not refused")
			}
		}
	}
	for name, f := range map[string]func(){
		"Acquire, Done":           acquired(free),
		"of one place":            acquired(one),
		"with a rate":             acquired(rated),
		"adaptive":                acquired(adaptive),
		"TryAcquire, refused":     refused(full),
		"with a queue":            refused(fullQueue),
		"refused by the rate":     refused(empty),
		"Do":                      func() { _, _ = bulkhead.Do(ctx, free, fn) },
		"Do, refused":             func() { _, _ = bulkhead.Do(ctx, full, fn) },
		"Wrap":                    func() { _, _ = wrapped(ctx, 1) },
		"Run":                     func() { _ = free.Run(ctx, func(context.Context) error { return nil }) },
		"nested three deep":       func() { _ = nest(free, 3) },
		"more than one looks for": func() { _ = nest(free, 10) },
	} {
		for range 100 {
			f() // errors are made when they are first wanted, slots too
		}
		if n := testing.AllocsPerRun(1000, f); n != 0 && !(raceEnabled && n < 1) {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// TestNothingIsLeft: of calls that wait and give up under one parent that lives on there is no goroutine and no memory.
func TestNothingIsLeft(t *testing.T) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := busy(t, bulkhead.Config{Queue: 100, MaxWait: time.Microsecond})
	call := func(ctx context.Context) {
		if p, err := b.Acquire(ctx); err == nil {
			p.Done(nil)
			t.Error("a place")
		}
	}
	calls := func(n int) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range n / 20 {
					call(parent)
					ctx, cancel := context.WithTimeout(parent, time.Microsecond)
					call(ctx)
					cancel()
				}
			})
		}
		all.Wait()
	}
	calls(1000)
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	calls(20_000)
	if now := heapInUse(); now > heap+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", heap, now)
	}
	await(func() bool { return runtime.NumGoroutine() <= goroutines }) // one that has done its work may not have ended yet
	runtime.KeepAlive(parent)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
