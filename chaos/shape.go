package chaos

import (
	"time"
)

// shape is what becomes of the bytes of one body, or of one direction of a connection.
type shape struct {
	in  *Injector
	run *run

	spoilEvery int64  // one bit in so many bytes; 0: none
	spoil      uint64 // decides which
	replace    *Fault // its Body comes instead
	cut        *Fault // Truncate or Reset, after its Bytes; nil: none
	rate       int64  // bytes a second; 0: no bound

	at int64 // bytes that went through
}

// with adds a fault to what there is, which may be nil. Of two that cut, the one that cuts earlier counts; of two that are slow,
// the slower.
func (s *shape) with(in *Injector, r *run, f *Fault, d *dice) *shape {
	if s == nil {
		s = &shape{in: in, run: r}
	}
	switch f.Kind {
	case Corrupt:
		if f.Body != "" {
			s.replace = f
		} else {
			s.spoilEvery, s.spoil = f.Bytes, d.next()
		}
	case Truncate, Reset:
		if s.cut == nil || f.Bytes < s.cut.Bytes {
			s.cut = f
		}
	case Slow:
		if s.rate == 0 || f.BytesPerSecond < s.rate {
			s.rate = f.BytesPerSecond
		}
	}
	return s
}

// ticks is into how many parts a second of a slow body is cut.
const ticks = 20

// room is how many of n bytes may go through next. 0: it is cut here.
func (s *shape) room(n int) int {
	if s.run.ended() {
		return n
	}
	if s.cut != nil {
		n = int(min(int64(n), s.cut.Bytes-s.at))
	}
	if s.rate > 0 {
		n = int(min(int64(n), max(s.rate/ticks, 1)))
	}
	return n
}

// pass lets p through: it is spoiled in place. The result is how long that takes.
func (s *shape) pass(p []byte) time.Duration {
	defer func() { s.at += int64(len(p)) }()
	if s.run.ended() {
		return 0
	}
	if s.spoilEvery > 0 {
		s.spoilBits(p)
	}
	if s.rate == 0 {
		return 0
	}
	return time.Duration(float64(len(p)) / float64(s.rate) * float64(time.Second))
}

// spoilBits changes one bit in each run of spoilEvery bytes. Which, depends on where it is, not on how it is read.
func (s *shape) spoilBits(p []byte) {
	for block := s.at / s.spoilEvery; ; block++ {
		chance := mix(s.spoil + uint64(block)*golden)
		i := block*s.spoilEvery + int64(chance%uint64(s.spoilEvery)) - s.at
		switch {
		case block*s.spoilEvery >= s.at+int64(len(p)):
			return
		case i >= 0 && i < int64(len(p)):
			p[i] ^= 1 << (chance >> 61)
		}
	}
}

// harmless reports whether bytes go through as they are, and so need no copy.
func (s *shape) harmless() bool { return s.spoilEvery == 0 }

// over is the error of a body that was cut.
func (s *shape) over(err error) error { return s.in.fail(s.cut, err) }
