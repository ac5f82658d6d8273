package failover

import "sync"

// spare bounds the attempts on targets that are known to be down. When all are down, each call still makes its first attempt
// somewhere; of those after it there are a tenth of the calls, so that what is down has no more to bear than the calls
// themselves.
type spare struct {
	mu     sync.Mutex
	begun  bool
	calls  uint64 // that have been credited
	credit float64
}

const (
	spareShare = 0.1
	mostSpare  = 10
)

// take takes one attempt from the credit, if it is there. calls is how many there were since the start.
func (s *spare) take(calls uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun, s.credit = true, mostSpare
	}
	if calls > s.calls {
		s.credit = min(s.credit+float64(calls-s.calls)*spareShare, mostSpare)
		s.calls = calls
	}
	if s.credit < 1 {
		return false
	}
	s.credit--
	return true
}
