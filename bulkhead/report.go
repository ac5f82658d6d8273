package bulkhead

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// source is a Bulkhead as telemetry sees it.
type source Bulkhead

// Observe implements telemetry.Source.
func (s *source) Observe(put func(telemetry.Metric, float64, ...attribute.KeyValue)) {
	b := (*Bulkhead)(s)
	var r report
	r.addRefusals(b)
	r.addUse(b)
	r.limit, r.queueLimit = b.bounds()
	r.put(put)
}

// report is the sum of some bulkheads, for metrics.
type report struct {
	refused            [reasons]uint64
	used, limit        int
	queued, queueLimit int
}

func (r *report) addRefusals(b *Bulkhead) {
	for i := range b.tally.refused {
		r.refused[i] += b.tally.refused[i].Load()
	}
}

// addUse adds what is at this moment.
func (r *report) addUse(b *Bulkhead) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.used += b.slots.inUse()
	r.queued += b.queue.len
}

func (b *Bulkhead) bounds() (limit, queue int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit, b.queue.max
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
