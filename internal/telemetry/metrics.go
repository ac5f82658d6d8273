package telemetry

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// Metric names one of the observed metrics. A [Source] gives its values when a reader collects.
type Metric int

// The observed metrics of all policies.
const (
	Attempts            Metric = iota // counter by attempt.kind and attempt.outcome
	Rejections                        // counter by reject.reason
	Suppressed                        // counter by suppress.reason
	BudgetAvailable                   // gauge
	BreakerStatus                     // 0 or 1 for each breaker.state (a keyed policy: how many are in it)
	BreakerTransitions                // counter by the new breaker.state
	BreakerFailureRatio               // gauge, 0 to 1
	BulkheadUsage                     // up-down: calls that have a place
	BulkheadLimit                     // up-down: places
	BulkheadQueueUsage                // up-down: calls that wait
	BulkheadQueueLimit                // up-down: calls that may wait
	HedgeDelay                        // gauge
	TargetStatus                      // 0 or 1 for each target and target.state
	metricCount
)

type kind int

const (
	counter kind = iota
	upDownCounter
	gauge
)

// table says what each metric is called. The units are UCUM.
var table = [metricCount]struct {
	name, unit, about string
	kind              kind
	typed             bool // carries holdfast.policy.type beside the name
}{
	Attempts:            {"holdfast.attempts", "{attempt}", "Runs of the guarded function.", counter, false},
	Rejections:          {"holdfast.rejections", "{call}", "Calls refused before any work was done.", counter, true},
	Suppressed:          {"holdfast.retry.suppressed", "{retry}", "Retries that were not made.", counter, false},
	BudgetAvailable:     {"holdfast.budget.available", "{token}", "Tokens left for retries and hedges.", gauge, false},
	BreakerStatus:       {"holdfast.breaker.status", "1", "1 for the state the breaker is in, 0 for the others.", upDownCounter, false},
	BreakerTransitions:  {"holdfast.breaker.transitions", "{transition}", "Changes of state, by the new state.", counter, false},
	BreakerFailureRatio: {"holdfast.breaker.failure_ratio", "1", "Share of failures in the rolling window.", gauge, false},
	HedgeDelay:          {"holdfast.hedge.delay", "s", "How long an attempt is waited for before the next one starts.", gauge, false},
	TargetStatus:        {"holdfast.failover.target.status", "1", "1 for the state the target is in, 0 for the others.", upDownCounter, false},
	BulkheadUsage:       {"holdfast.bulkhead.usage", "{call}", "Calls that have a place.", upDownCounter, false},
	BulkheadLimit:       {"holdfast.bulkhead.limit", "{call}", "Calls that may have a place at a time.", upDownCounter, false},
	BulkheadQueueUsage:  {"holdfast.bulkhead.queue.usage", "{call}", "Calls that wait for a place.", upDownCounter, false},
	BulkheadQueueLimit:  {"holdfast.bulkhead.queue.limit", "{call}", "Calls that may wait for a place.", upDownCounter, false},
}

// durationBounds are the buckets that the HTTP conventions of OpenTelemetry advise for seconds.
var durationBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// instruments are the metrics made with one meter.
type instruments struct {
	duration metric.Float64Histogram
	waited   metric.Float64Histogram
	ints     [metricCount]metric.Int64Observable
	floats   [metricCount]metric.Float64Observable
}

// newInstruments makes them. An instrument that the meter refuses is left out (errors go to otel's handler): a
// service does not stop for its metrics.
func newInstruments(m metric.Meter) (*instruments, []metric.Observable, error) {
	in := new(instruments)
	var all []metric.Observable
	var errs []error
	for i, row := range table {
		var observable metric.Observable
		var err error
		switch row.kind {
		case counter:
			in.ints[i], err = m.Int64ObservableCounter(row.name, metric.WithUnit(row.unit), metric.WithDescription(row.about))
			observable = in.ints[i]
		case upDownCounter:
			in.ints[i], err = m.Int64ObservableUpDownCounter(row.name, metric.WithUnit(row.unit), metric.WithDescription(row.about))
			observable = in.ints[i]
		case gauge:
			in.floats[i], err = m.Float64ObservableGauge(row.name, metric.WithUnit(row.unit), metric.WithDescription(row.about))
			observable = in.floats[i]
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, observable)
	}
	histogram := func(name, about string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about),
			metric.WithExplicitBucketBoundaries(durationBounds...))
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		return h
	}
	in.duration = histogram("holdfast.call.duration", "Time from the call to its result, waiting included.")
	in.waited = histogram("holdfast.bulkhead.wait.duration", "Time that a call waited for a place, of calls that waited.")
	return in, all, errors.Join(errs...)
}
