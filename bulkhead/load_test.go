package bulkhead_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// load is a server whose capacity is known by construction, 8 requests at a time of 5 ms each, behind a bulkhead, and what
// came to it.
type load struct {
	*site
	slots    *bulkhead.Bulkhead
	came     atomic.Int64 // to the bulkhead
	within   atomic.Int64
	most     atomic.Int64 // within at a time
	admitted atomic.Int64
}

const (
	loadLimit = 8
	loadWork  = 5 * time.Millisecond
)

func newLoad(serve func(http.HandlerFunc) *site) *load {
	l := &load{slots: bulkhead.MustNew(bulkhead.Config{Name: "server", Limit: loadLimit, Queue: loadLimit})}
	h := bulkhead.Handler(l.slots, http.HandlerFunc(l.work))
	l.site = serve(func(w http.ResponseWriter, r *http.Request) {
		l.came.Add(1)
		h.ServeHTTP(w, r)
	})
	l.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 100
	return l
}

func (l *load) work(w http.ResponseWriter, r *http.Request) {
	l.admitted.Add(1)
	raise(&l.most, l.within.Add(1))
	defer l.within.Add(-1)
	busy := time.NewTimer(loadWork)
	defer busy.Stop()
	select {
	case <-busy.C:
		served(w, r)
	case <-r.Context().Done():
	}
}

// endings is how the requests of one priority ended.
type endings struct{ served, refused, cancelled, all atomic.Int64 }

// share is how many of those that were not cancelled were refused.
func (e *endings) share() float64 {
	return float64(e.refused.Load()) / float64(max(e.served.Load()+e.refused.Load(), 1))
}

// run has clients send one request after the other, each in its priority, until all have sent so many or the time is over; one at least. Every
// fifth gives up early if giveUp is not zero.
func (l *load) run(t *testing.T, clients, each int, most, giveUp time.Duration) map[string]*endings {
	ended := map[string]*endings{"sheddable": {}, "normal": {}, "critical": {}}
	words := []string{"sheddable", "normal", "critical"}
	over, stop := context.WithTimeout(t.Context(), most)
	defer stop()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for j := 0; j == 0 || j < each && over.Err() == nil; j++ {
				word := words[i%len(words)]
				patience := time.Hour
				if giveUp > 0 && (i+j)%5 == 0 {
					patience = giveUp
				}
				l.send(t, word, patience, ended[word])
			}
		})
	}
	all.Wait()
	return ended
}

func (l *load) send(t *testing.T, word string, patience time.Duration, e *endings) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := l.do(l.request(t, http.MethodGet, "/", nil, bulkhead.PriorityHeader, word).WithContext(ctx))
	e.all.Add(1)
	switch {
	case got.err != nil && ctx.Err() != nil && errors.Is(got.err, ctx.Err()):
		e.cancelled.Add(1)
	case got.err == nil && got.StatusCode == http.StatusOK && got.text == "served":
		e.served.Add(1)
	case got.err == nil && got.StatusCode == http.StatusServiceUnavailable && got.after() >= 1:
		e.refused.Add(1)
	default:
		t.Errorf("%s: %v, %v: neither served, nor refused with a time to come back, nor cancelled", word, got.Response, got.err)
	}
}

// TestLoad puts load on a real server, less than it can do and then three times as much. How long that takes is not
// asserted: the machine may be slow.
func TestLoad(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		l := newLoad(serve)

		// Fewer clients than places: nobody is refused, and nobody waits.
		calm := l.run(t, loadLimit*7/10, 40, 500*time.Millisecond, 0)
		for word, e := range calm {
			if e.served.Load() != e.all.Load() || e.all.Load() == 0 {
				t.Errorf("calm, %s: %d of %d served", word, e.served.Load(), e.all.Load())
			}
		}
		if s := l.books(t, calm); s.Waited != 0 {
			t.Errorf("calm: %+v", s)
		}

		rush := l.run(t, loadLimit*3, 60, time.Second, loadWork/2)
		for word, e := range rush {
			t.Logf("%s: %d served, %d refused, %d gave up", word, e.served.Load(), e.refused.Load(), e.cancelled.Load())
		}
		if critical, sheddable := rush["critical"].share(), rush["sheddable"].share(); critical > sheddable {
			t.Errorf("%.2f of what is critical was refused, and %.2f of what is sheddable", critical, sheddable)
		}
		last := endings{}
		if l.send(t, "normal", time.Hour, &last); last.served.Load() != 1 {
			t.Error("when all is over a request is not served")
		}
		l.Close() // requests whose clients gave up may still be on their way
		l.books(t, calm, rush, map[string]*endings{"": &last})
		if n := l.most.Load(); n > loadLimit {
			t.Errorf("%d at a time, the limit is %d", n, loadLimit)
		}
		if got := l.log.String(); got != "" {
			t.Errorf("the server has logged: %s", got)
		}
	})
}

// books checks that nobody is left, and that the bulkhead has counted each request that came once, as what it was.
func (l *load) books(t *testing.T, runs ...map[string]*endings) bulkhead.Snapshot {
	t.Helper()
	await(func() bool { return l.running.Load() == 0 })
	s := settled(t, l.slots, uint64(l.came.Load()))
	var served, refused, cancelled uint64
	for _, run := range runs {
		for _, e := range run {
			served += uint64(e.served.Load())
			refused += uint64(e.refused.Load())
			cancelled += uint64(e.cancelled.Load())
		}
	}
	var reasons uint64
	for _, n := range s.RefusedBy {
		reasons += n
	}
	// Of those who gave up some were served, or refused, before the server knew.
	if s.Successes < served || s.Successes > served+cancelled || s.Refused < refused || s.Refused > refused+cancelled || reasons != s.Refused {
		t.Errorf("the clients have seen %d served, %d refused and given up on %d: %+v", served, refused, cancelled, s)
	}
	if admitted := uint64(l.admitted.Load()); s.Failures != 0 || admitted < s.Successes || admitted > s.Successes+s.Ignored {
		t.Errorf("%d were admitted: %+v", admitted, s)
	}
	return s
}
