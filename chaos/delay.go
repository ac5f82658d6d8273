package chaos

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Delay says how long delays are. With a Median alone all are the same. With a Sigma they are log-normal, as latencies of
// servers are, roughly: most are near the Median, few are many times as long. With a Slow and a SlowShare they are bimodal: so
// many are around Slow instead, as when one of several replicas is ill, or a cache misses.
type Delay struct {
	Median    time.Duration
	Sigma     float64       // of the logarithm. With 0.5, one in a hundred is 3.2 times the median; with 1, 10 times. Default 0
	Slow      time.Duration // the median of the slow ones
	SlowShare float64       // from 0 to 1
	Max       time.Duration // bounds each. Default: 100 times the longer one of Median and Slow
}

const mostMedians = 100

func (d *Delay) check(f *conf.Faults, at string) {
	f.Want(d.Median >= 0, at+"Delay.Median", d.Median, "at least 0")
	f.Want(d.Median > 0 || d.Slow > 0 && d.SlowShare > 0, at+"Delay", *d, "a Median, or Slow and SlowShare")
	f.Want(d.Sigma >= 0 && d.Sigma <= 10, at+"Delay.Sigma", d.Sigma, "at least 0 and at most 10")
	f.Want(d.Slow >= 0, at+"Delay.Slow", d.Slow, "at least 0")
	f.Want(d.SlowShare >= 0 && d.SlowShare <= 1, at+"Delay.SlowShare", d.SlowShare, "at least 0 and at most 1")
	f.Want((d.Slow != 0) == (d.SlowShare != 0), at+"Delay.SlowShare", d.SlowShare, "both Slow and SlowShare, or neither")
	f.Want(d.Max >= 0, at+"Delay.Max", d.Max, "at least 0 (default 100 times the longer one of Median and Slow)")
}

// draw is one of the delays.
func (d *Delay) draw(c *dice) time.Duration {
	median, most := d.Median, d.Max
	if c.uniform() < d.SlowShare {
		median = d.Slow
	}
	if most == 0 {
		most = duration(mostMedians * float64(max(d.Median, d.Slow)))
	}
	if d.Sigma == 0 {
		return min(median, most)
	}
	return min(duration(float64(median)*math.Exp(d.Sigma*c.normal())), most)
}

// duration is ns as a time; what none can hold is the longest that ends.
func duration(ns float64) time.Duration {
	if ns >= float64(forever) {
		return forever - 1
	}
	return time.Duration(ns)
}

// UnmarshalJSON reads {"median": "50ms", "sigma": 0.5, "slow": "2s", "slow_share": 0.01, "max": "10s"}.
func (d *Delay) UnmarshalJSON(data []byte) error { return d.fields().Unmarshal(data) }

// MarshalJSON writes the fields that are not zero.
func (d Delay) MarshalJSON() ([]byte, error) { return d.fields().Marshal() }

func (d *Delay) fields() conf.Fields {
	return conf.Fields{
		{Key: "median", To: &d.Median},
		{Key: "sigma", To: &d.Sigma},
		{Key: "slow", To: &d.Slow},
		{Key: "slow_share", To: &d.SlowShare},
		{Key: "max", To: &d.Max},
	}
}
