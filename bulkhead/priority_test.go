package bulkhead_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

type childKey struct{}

func TestPriorityOfAContext(t *testing.T) {
	for _, c := range []struct {
		set, want bulkhead.Priority
		text      string
	}{
		{bulkhead.Sheddable, bulkhead.Sheddable, "sheddable"},
		{bulkhead.Normal, bulkhead.Normal, "normal"},
		{bulkhead.Critical, bulkhead.Critical, "critical"},
		{-100, -100, "sheddable"},
		{-128, -128, "sheddable"},
		{2, 2, "critical"},
		{127, 127, "critical"},
	} {
		ctx := bulkhead.WithPriority(t.Context(), c.set)
		if got := bulkhead.PriorityFrom(ctx); got != c.want || got.String() != c.text {
			t.Errorf("WithPriority(%d): %d, %v; want %d, %s", c.set, got, got, c.want, c.text)
		}
		child := context.WithValue(context.WithoutCancel(ctx), childKey{}, 1)
		if got := bulkhead.PriorityFrom(child); got != c.want {
			t.Errorf("WithPriority(%d) and more: %d", c.set, got)
		}
		if got := bulkhead.PriorityFrom(bulkhead.WithPriority(ctx, bulkhead.Normal)); got != bulkhead.Normal {
			t.Errorf("Normal over %v: %v", c.set, got)
		}
	}
	if got := bulkhead.PriorityFrom(context.Background()); got != bulkhead.Normal {
		t.Errorf("without one: %v", got)
	}
}

// line is calls that wait for the places of a bulkhead, and how they fare: "name" when they get in, "name:reason" when they
// do not.
type line struct {
	t     *testing.T
	b     *bulkhead.Bulkhead
	mu    sync.Mutex
	fates []string
	holds time.Duration // how long those who get in stay
}

// join has a call wait, of a priority and with so much time; 0: an hour.
func (l *line) join(name string, p bulkhead.Priority, left time.Duration) (leave func()) {
	l.t.Helper()
	if left == 0 {
		left = time.Hour
	}
	ctx, cancel := context.WithTimeout(bulkhead.WithPriority(context.Background(), p), left)
	go func() {
		defer cancel()
		p, err := l.b.Acquire(ctx)
		fate := name
		if err != nil {
			fate += ":" + what(err)
		}
		l.mu.Lock()
		l.fates = append(l.fates, fate)
		l.mu.Unlock()
		if err == nil {
			time.Sleep(l.holds)
			p.Done(nil)
		}
	}()
	synctest.Wait()
	return cancel
}

// want checks what has become of them since the last time.
func (l *line) want(when, fates string) {
	l.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.fates, " "); got != fates {
		l.t.Errorf("%s: %q, want %q", when, got, fates)
	}
	l.fates = nil
}

func TestWhatMattersMoreGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := busy(t, bulkhead.Config{Queue: 100, Interval: -1})
		l := &line{t: t, b: b, holds: time.Second}
		for i := range 2 {
			l.join(fmt.Sprint("prefetch", i), bulkhead.Sheddable, 0)
			l.join(fmt.Sprint("page", i), bulkhead.Normal, 0)
			l.join(fmt.Sprint("login", i), bulkhead.Critical, 0)
			l.join(fmt.Sprint("lower", i), -100, 0)
			l.join(fmt.Sprint("higher", i), 100, 0)
		}
		if err := b.Resize(2); err != nil { // the place that is held stays so
			t.Fatal(err)
		}
		time.Sleep(4500 * time.Millisecond)
		l.want("while it is busy", "login0 higher0 login1 higher1 page0")
		time.Sleep(time.Second)
		l.join("late", bulkhead.Critical, 0)
		time.Sleep(time.Minute)
		l.want("when there is room", "page1 late prefetch0 lower0 prefetch1 lower1")
	})
}

// TestWhatMattersLessIsPushedOut: of a full queue, who would go last, and only by one that matters more.
func TestWhatMattersLessIsPushedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{t: t, b: busy(t, bulkhead.Config{Queue: 3})}
		l.join("prefetch0", bulkhead.Sheddable, 0)
		l.join("prefetch1", bulkhead.Sheddable, 0)
		l.join("page0", bulkhead.Normal, 0)
		l.want("room for three", "")
		l.join("prefetch2", bulkhead.Sheddable, 0)
		l.want("of its like who comes last", "prefetch2:queue_full")
		l.join("page1", bulkhead.Normal, 0)
		l.want("the later of the least", "prefetch1:priority")
		l.join("login0", bulkhead.Critical, 0)
		l.want("the last of the least", "prefetch0:priority")
		l.join("prefetch3", bulkhead.Sheddable, 0)
		l.want("it matters least", "prefetch3:queue_full")
		l.join("page2", bulkhead.Normal, 0)
		l.want("of its like who comes last", "page2:queue_full")
		l.join("login1", bulkhead.Critical, 0)
		l.want("the later of the less", "page1:priority")
		l.join("login2", bulkhead.Critical, 0)
		l.want("the last of the less", "page0:priority")
		l.join("login3", bulkhead.Critical, 0)
		l.want("nobody matters less", "login3:queue_full")
		if err := l.b.Resize(2); err != nil {
			t.Fatal(err)
		}
		l.want("all that are left, one after the other", "login0 login1 login2")
		refused := l.b.Snapshot().RefusedBy
		if refused[bulkhead.ReasonPriority] != 4 || refused[bulkhead.ReasonQueue] != 4 {
			t.Errorf("%v", refused)
		}
	})
}

// TestSheddableIsServedWhereThereIsRoom: a bulkhead that is asked for nine tenths of what it can do by what matters more
// leaves the rest to what matters less.
func TestSheddableIsServedWhereThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 50})
		served := map[bulkhead.Priority]int{}
		var mu sync.Mutex
		call := func(p bulkhead.Priority) {
			if b.Run(bulkhead.WithPriority(context.Background(), p), lasting(10*time.Millisecond)) == nil {
				mu.Lock()
				served[p]++
				mu.Unlock()
			}
		}
		// 900 a second that matter, 300 that do not, of 1000 that can be done.
		const seconds = 10
		for i := range 1200 * seconds {
			time.Sleep(time.Second / 1200)
			go call([]bulkhead.Priority{bulkhead.Critical, bulkhead.Normal, bulkhead.Critical, bulkhead.Sheddable}[i%4])
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if lost := 600*seconds - served[bulkhead.Critical]; lost > 0 {
			t.Errorf("%d lost that are critical", lost)
		}
		if lost := 300*seconds - served[bulkhead.Normal]; lost > 10 {
			t.Errorf("%d lost that are normal", lost)
		}
		if n := served[bulkhead.Sheddable]; n < 90*seconds {
			t.Errorf("%d of those that are sheddable were served, want about %d", n, 100*seconds)
		}
		// And when there is room again, all of them.
		before := served[bulkhead.Sheddable]
		for range 100 {
			time.Sleep(2 * time.Millisecond)
			go call(bulkhead.Sheddable)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := served[bulkhead.Sheddable] - before; n != 100 {
			t.Errorf("%d of 100 that are sheddable were served with room for all", n)
		}
	})
}
