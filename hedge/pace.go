package hedge

import (
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/keyed"
	"github.com/holdfast-go/holdfast/internal/latency"
)

// pace is how long the attempts of one kind of call are waited for. What is learned is used for deadlines too, and so also
// where the delay is fixed.
type pace struct {
	load *load
	seen *latency.Tracker

	number   atomic.Uint64 // of the settings that it learns by
	changing sync.Mutex    // guards that
}

func newPace(s *settings, l *load) *pace {
	p := &pace{load: l, seen: latency.NewTracker(s.Memory, s.Quantile, s.enough())}
	p.number.Store(s.number)
	return p
}

// enough is how many calls it takes to learn from. Below that the quantile is the slowest call or the one before.
func (s *settings) enough() int { return min(int(math.Ceil(2/(1-s.Quantile))), mostToLearn) }

const mostToLearn = 200 // calls, however high the quantile

// delay is how long to wait now.
func (p *pace) delay(s *settings, now time.Duration) time.Duration {
	if p.number.Load() < s.number {
		p.follow(s, now)
	}
	if s.Delay != 0 {
		return max(s.Delay, 0)
	}
	d, known := p.seen.Value()
	if !known {
		return s.FirstDelay
	}
	if d = max(d, s.MinDelay); s.MaxExtraLoad < 0 {
		return d
	}
	return p.load.stretched(d)
}

// follow learns by other settings from now on, unless it does so by newer ones. A host's pace that is made while the settings
// change may still have the old ones: who wants to know the delay sees to it.
func (p *pace) follow(s *settings, now time.Duration) {
	p.changing.Lock()
	defer p.changing.Unlock()
	if p.number.Load() < s.number {
		p.seen.Set(now, s.Memory, s.Quantile, s.enough())
		p.number.Store(s.number)
	}
}

// learn takes note of a first attempt.
func (p *pace) learn(now, took time.Duration) { p.seen.Record(now, took) }

// quantile is what was learned; 0 if that is not enough.
func (p *pace) quantile(q float64) time.Duration {
	d, known := p.seen.Quantile(q)
	if !known {
		return 0
	}
	return d
}

// typical is how long half of the calls take at the most; 0 if that is not known.
func (p *pace) typical() time.Duration { return p.quantile(0.5) }

// hosts have the pace of each host and method that Transports have seen.
type hosts = keyed.Map[host, *pace]

type host struct{ host, method string }

const (
	mostHosts     = 1000
	hostIdleAfter = 10 * time.Minute
)

func newHosts(p *Policy) *hosts {
	return keyed.New(keyed.Config[host, *pace]{
		MaxKeys: mostHosts, IdleAfter: hostIdleAfter,
		New: func(host) *pace { return newPace(p.set.Load(), &p.load) },
	})
}

// paceFor is the pace of a request.
func (p *Policy) paceFor(req *http.Request) *pace {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	return p.hosts.Get(host{httpx.HostKey(req.URL), method})
}
