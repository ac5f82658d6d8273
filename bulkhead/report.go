package bulkhead

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// source is a Bulkhead as telemetry sees it.
type source Bulkhead

// Observe implements telemetry.Source.
func (s *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	r := (*Bulkhead)(s).report()
	r.put(put)
}

// report is a bulkhead, or a set of them, for metrics.
type report struct {
	refused            [reasons]uint64
	used, limit        int
	queued, queueLimit int
}

func (b *Bulkhead) report() (r report) {
	for i := range b.tally.refused {
		r.refused[i] = b.tally.refused[i].Load()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.used, r.limit = b.slots.inUse(), b.limit
	r.queued, r.queueLimit = b.queue.len, b.queue.max
	return r
}

// queued is how many calls wait.
func (b *Bulkhead) queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.len
}

func (r *report) put(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	put(telemetry.BulkheadUsage, float64(r.used))
	put(telemetry.BulkheadLimit, float64(r.limit))
	put(telemetry.BulkheadQueueUsage, float64(r.queued))
	put(telemetry.BulkheadQueueLimit, float64(r.queueLimit))
	for i, n := range r.refused {
		if reason := Reason(i); reason != ReasonEnded {
			put(telemetry.Rejections, float64(n), telemetry.RejectReason(reason.String()))
		}
	}
}
