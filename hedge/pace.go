package hedge

import (
	"math"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
	"github.com/holdfast-go/holdfast/internal/keyed"
	"github.com/holdfast-go/holdfast/internal/latency"
)

// pace is how long the attempts of one kind of call are waited for. What is learned is used for deadlines too, and so also
// where the delay is fixed.
type pace struct {
	cfg  *Config
	load *load
	seen *latency.Tracker
}

func newPace(c *Config, l *load) *pace {
	enough := int(math.Ceil(2 / (1 - c.Quantile))) // below that the quantile is the slowest call or the one before
	return &pace{cfg: c, load: l, seen: latency.NewTracker(c.Memory, c.Quantile, min(enough, mostToLearn))}
}

const mostToLearn = 200 // calls, however high the quantile

// delay is how long to wait now.
func (p *pace) delay() time.Duration {
	if p.cfg.Delay != 0 {
		return max(p.cfg.Delay, 0)
	}
	d, known := p.seen.Value()
	if !known {
		return p.cfg.FirstDelay
	}
	return p.load.stretched(max(d, p.cfg.MinDelay))
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

func newHosts(c *Config, l *load) *hosts {
	return keyed.New(keyed.Config[host, *pace]{
		MaxKeys: mostHosts, IdleAfter: hostIdleAfter,
		New: func(host) *pace { return newPace(c, l) },
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
