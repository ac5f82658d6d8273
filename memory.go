package holdfast

// What policies hold, in bytes: what was measured of each kind when it was new, and what it comes to once several cores use all
// of it, when each of its counters takes a cache line for each of sixteen goroutines (TestMemory holds this against real ones).
const (
	counterBytes = 1088

	retryBytes    = 900 + 9*counterBytes  // one for each way in which a first attempt, or another, ends
	breakerBytes  = 1300 + 4*counterBytes // open; the window, and a counter for each reason to refuse
	bulkheadBytes = 1700 + 15*counterBytes
	waiterBytes   = 800 // of a queue, with the timer of a MaxWait; its goroutine comes on top
	hedgeBytes    = 3200 + 4*counterBytes
	groupBytes    = 2400 + 2*counterBytes
	targetBytes   = 800 + 2*counterBytes
)

// memory is what the policies hold at most; 0 if that is not known of one.
func (s *Stack) memory() int {
	all := 0
	for i := range s.layers {
		l := &s.layers[i]
		switch {
		case !l.on():
		case l.kind == ofRetry:
			all += retryBytes
		case l.kind == ofBreaker:
			all += breakerBytes
		case l.kind == ofBulkhead:
			all += bulkheadBytes + l.bulkhead.Config().Queue*waiterBytes
		case l.kind == ofHedge:
			all += hedgeBytes
		default:
			if group, ok := l.other.(several); ok {
				all += groupBytes + group.size()*targetBytes
				continue
			}
			if _, answer := l.other.(answers); !answer {
				return 0
			}
		}
	}
	return all
}
