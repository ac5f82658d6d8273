package chaos

import "time"

// Snapshot is an Injector at one moment: to look at, and to log. It has a JSON form. The counts are since it was last switched
// on, and stay when it is switched off.
type Snapshot struct {
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	Enabled bool      `json:"enabled"`
	Since   time.Time `json:"since,omitzero"` // when it was last switched on

	Calls  uint64       `json:"calls"` // and connections, struck or not
	Held   int          `json:"held"`  // calls and connections that wait in a delay or a black hole
	Faults []FaultCount `json:"faults,omitempty"`
}

// FaultCount is how often a fault struck.
type FaultCount struct {
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	Struck uint64 `json:"struck"`
}

// Snapshot returns the Injector as it is now. It is safe for concurrent use, and changes nothing.
func (in *Injector) Snapshot() Snapshot {
	if in == nil {
		return Snapshot{}
	}
	in.mu.Lock()
	r := in.last
	in.mu.Unlock()
	s := Snapshot{Name: in.cfg.Name, At: time.Now(), Enabled: in.Enabled(), Faults: make([]FaultCount, len(in.cfg.Faults))}
	for i, f := range in.cfg.Faults {
		s.Faults[i] = FaultCount{Name: f.Name, Kind: f.Kind}
		if r != nil {
			s.Faults[i].Struck = r.struck[i].Load()
		}
	}
	if r != nil {
		s.Since, s.Calls, s.Held = r.start, r.calls.Load(), int(r.held.Load())
	}
	return s
}
