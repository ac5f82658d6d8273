package failover_test

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/internal/experiment"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// TestExperimentE16 is the power of two choices (Mitzenmacher 1996): the mean time in the supermarket model.
//
// The model. Customers come at random (Poisson), load times n a unit of time, choose one of n queues, and are served there
// in their order, each for an exponential time of mean 1. The first tenth of the time is not counted. The published number
// is for n without bound. Time is that of a list of events: the group only sees leases taken and given back.
//
// At a load of 0.99 the mean time moves by 2.5 % with each 0.001 of the load, which chance alone moves as much in a run of this
// length. So each run is held against the theory for the load that was drawn: the work that came, by what could be done. At 0.9
// queues are short and change soon, and a third of the time will do. The loads below are for the chart alone, and of one run each.
func TestExperimentE16(t *testing.T) {
	n, horizon := experiment.Fewer(1500, 100), experiment.Fewer(1500, 300)
	r := experiment.NewTable(
		fmt.Sprintf("E16: %d queues, %d units of time (at 0.9 a third); least and most of %d seeds", n, horizon, experiment.Seeds),
		"load", "published", "with holdfast (LeastLoaded)", "by theory, for the load drawn", "one choice, by theory",
	)
	lines := []record.Series{{Name: "one choice, by theory"}, {Name: "two choices, by theory"}, {Name: "holdfast"}}
	point := func(load, mean float64) {
		for i, y := range []float64{1 / (1 - load), twoChoices(load), mean} {
			lines[i].X = append(lines[i].X, load)
			lines[i].Y = append(lines[i].Y, y)
		}
	}
	for _, load := range []float64{0.1, 0.3, 0.5, 0.7, 0.8} {
		mean, _ := supermarket(t, 1, 100, 300, load)
		point(load, mean)
	}
	for _, load := range []float64{0.9, 0.99} {
		length := float64(horizon)
		if load < 0.99 {
			length /= 3
		}
		var mean, share experiment.Span
		experiment.OverSeeds(func(seed uint64) {
			took, drawn := supermarket(t, seed, n, length, load)
			mean.Add(took)
			share.Add(100 * took / twoChoices(drawn))
		})
		r.Row(fmt.Sprint(load), fmt.Sprintf("%.3f", twoChoices(load)), mean.In("%.3f"), share.In("%.1f")+" %", fmt.Sprintf("%.0f", 1/(1-load)))
		margin := 3.0
		if experiment.Reduced() {
			margin = 30
		}
		r.Between(t, fmt.Sprint("mean time at ", load, ", percent of the theory's"), &share, 100-margin, 100+margin)
		point(load, (mean.Least()+mean.Most())/2)
	}
	r.Chart(record.Chart{
		Name: "e16-time", Title: "E16: mean time by load", XLabel: "load", YLabel: "units of time", LogY: true, Series: lines,
	})
	r.Print(t, "Goal: within 3 % of the published number, or of what the theory that it is from says for the load that was drawn.")
}

// twoChoices is the mean time by Mitzenmacher's theorem.
func twoChoices(load float64) (mean float64) {
	for i := 1; i < 12; i++ {
		mean += math.Pow(load, math.Pow(2, float64(i))-2)
	}
	return mean
}

// customer is one in a queue, or being served.
type customer struct {
	came  float64
	lease failover.Lease[int]
}

// departures are the queues by when their first customer will be done.
type departures []departure

type departure struct {
	at    float64
	queue int
}

func (d departures) Len() int           { return len(d) }
func (d departures) Less(i, j int) bool { return d[i].at < d[j].at }
func (d departures) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *departures) Push(x any)        { *d = append(*d, x.(departure)) }
func (d *departures) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

func supermarket(t *testing.T, seed uint64, n int, horizon, load float64) (mean, drawn float64) {
	rng := rand.New(rand.NewPCG(seed, 16))
	g := failover.MustNew(failover.Config[int]{Targets: targets(n), Balance: failover.LeastLoaded, SlowFactor: -1})
	queues := make([][]customer, n)
	var next departures
	sum, count, work := 0.0, 0, 0.0
	serve := func(queue int, from float64) {
		takes := rng.ExpFloat64()
		if from > horizon/10 {
			work += takes
		}
		heap.Push(&next, departure{from + takes, queue})
	}
	for now := 0.0; ; {
		arrival := now + rng.ExpFloat64()/(load*float64(n))
		for len(next) > 0 && next[0].at <= arrival {
			d := heap.Pop(&next).(departure)
			done := queues[d.queue][0]
			queues[d.queue] = queues[d.queue][1:]
			done.lease.Done(nil)
			if done.came > horizon/10 {
				sum, count = sum+d.at-done.came, count+1
			}
			if len(queues[d.queue]) > 0 {
				serve(d.queue, d.at)
			}
		}
		if now = arrival; now > horizon {
			return sum / float64(count), work / (0.9 * horizon * float64(n))
		}
		lease, err := g.Pick(t.Context())
		if err != nil {
			t.Error(err)
			return 0, 0
		}
		q := lease.Value
		if queues[q] = append(queues[q], customer{now, lease}); len(queues[q]) == 1 {
			serve(q, now)
		}
	}
}
