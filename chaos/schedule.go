package chaos

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Schedule says when a fault strikes, in time since [Injector.Enable]. The zero Schedule is always.
type Schedule struct {
	From  time.Duration // not before
	Until time.Duration // and not from then on; 0: to the end
	Ramp  time.Duration // the rate rises from 0 to Fault.Rate in this time, from From on

	// On and Off make it flap: On for so long, then Off for so long, and again, from From on.
	On, Off time.Duration
}

func (s *Schedule) check(f *conf.Faults, at string) {
	f.Want(s.From >= 0, at+"Schedule.From", s.From, "at least 0")
	f.Want(s.Until == 0 || s.Until > s.From, at+"Schedule.Until", s.Until, "more than From, or zero for no end")
	f.Want(s.Ramp >= 0, at+"Schedule.Ramp", s.Ramp, "at least 0")
	f.Want(s.On >= 0, at+"Schedule.On", s.On, "at least 0")
	f.Want(s.Off >= 0, at+"Schedule.Off", s.Off, "at least 0")
	f.Want((s.On == 0) == (s.Off == 0), at+"Schedule.Off", s.Off, "both On and Off, or neither")
}

// strength is the part of the rate that is in force at t, from 0 to 1.
func (s *Schedule) strength(t time.Duration) float64 {
	t -= s.From
	switch {
	case t < 0, s.Until > 0 && t >= s.Until-s.From:
		return 0
	case s.On > 0 && t%sum(s.On, s.Off) >= s.On:
		return 0
	case t < s.Ramp:
		return float64(t) / float64(s.Ramp)
	}
	return 1
}

// left is how long a fault that is in force at t still is.
func (s *Schedule) left(t time.Duration) time.Duration {
	left := forever
	if s.Until > 0 {
		left = s.Until - t
	}
	if s.On > 0 {
		left = min(left, s.On-(t-s.From)%sum(s.On, s.Off))
	}
	return left
}

// sum is a+b, or the longest time there is.
func sum(a, b time.Duration) time.Duration {
	if a > forever-b {
		return forever
	}
	return a + b
}

// UnmarshalJSON reads {"from": "1m", "until": "5m", "ramp": "30s", "on": "10s", "off": "20s"}.
func (s *Schedule) UnmarshalJSON(data []byte) error { return s.fields().Unmarshal(data) }

// MarshalJSON writes the fields that are not zero.
func (s Schedule) MarshalJSON() ([]byte, error) { return s.fields().Marshal() }

func (s *Schedule) fields() conf.Fields {
	return conf.Fields{
		{Key: "from", To: &s.From},
		{Key: "until", To: &s.Until},
		{Key: "ramp", To: &s.Ramp},
		{Key: "on", To: &s.On},
		{Key: "off", To: &s.Off},
	}
}
