package chart

import (
	"math"
	"strconv"
)

// axis is a range between two ticks, and the ticks within it. On a logarithmic one all but the labels are exponents:
// from -3 to 1 is from 0.001 to 10.
type axis struct {
	log      bool
	from, to float64
	step     float64 // from one tick to the next
	steps    int     // from, from+step, …: one more tick than steps
}

// axisOver is an axis that holds all from one value to another, and has about so many steps.
func axisOver(from, to float64, log bool, steps int) axis {
	if log {
		from, to = math.Log10(from), math.Log10(to)
	} else if flat(from, to) {
		to = from + 1 // zero all over
	}
	a := axis{log: log, step: niceStep((to - from) / float64(steps))}
	if log {
		a.step = max(a.step, 1) // only whole powers have labels that can be read
	}
	// A hair within, so that 0.3 is not above three times 0.1.
	first, last := math.Floor(from/a.step+1e-6), math.Ceil(to/a.step-1e-6)
	last = max(last, first+1)
	a.from, a.to, a.steps = first*a.step, last*a.step, int(last-first)
	return a
}

// flat: too close to each other to be told apart on an axis.
func flat(from, to float64) bool {
	return to-from <= 1e-9*max(math.Abs(from), math.Abs(to)) || to-from < 1/most
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, digit := range []float64{1, 2, 5} {
		if x <= digit*power*(1+1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// place is where v is: 0 at from, 1 at to.
func (a axis) place(v float64) float64 {
	if a.log {
		v = math.Log10(v)
	}
	return min(max((v-a.from)/(a.to-a.from), 0), 1) // it may be a hair outside
}

// tick is where tick i is, i from 0 to steps.
func (a axis) tick(i int) float64 {
	// Not from+i*step, which is 0.30000000000000004 where it should be 0.3, and 1e-17 where it should be 0.
	return (math.Round(a.from/a.step) + float64(i)) * a.step
}

// label is the text of tick i.
func (a axis) label(i int) string {
	at := a.tick(i)
	if a.log {
		return short(math.Pow(10, math.Round(at)), 6)
	}
	// As many digits as tell two neighbours apart: 1000000.5 and 1000001 differ in the eighth.
	largest := max(math.Abs(a.from), math.Abs(a.to))
	return short(at, max(6, int(math.Log10(largest/a.step))+2))
}

func short(v float64, digits int) string { return strconv.FormatFloat(v, 'g', digits, 64) }
