package telemetry

// Listed is how many policies the registry of the scope's provider has, those included that are gone and not swept out.
func (s *Scope) Listed() int {
	s.metering.sourcesMu.Lock()
	defer s.metering.sourcesMu.Unlock()
	return len(s.metering.sources)
}
