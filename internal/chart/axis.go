package chart

import (
	"math"
	"strconv"
)

// scale is how values lie on an axis.
type scale int

const (
	linear      scale = iota
	logarithmic       // powers of ten are as far from each other
	nines             // so are 0, 0.9, 0.99, 0.999
)

// at is where v lies. On a logarithmic scale it is the exponent, on one of nines how many nines v begins with.
func (s scale) at(v float64) float64 {
	switch s {
	case logarithmic:
		return math.Log10(v)
	case nines:
		return -math.Log10(1-v) + 0 // not the -0 that it is for 0
	}
	return v
}

// axis is a range between two ticks, and the ticks within it: all but the labels by where they lie on the scale. From -3
// to 1 on a logarithmic one is from 0.001 to 10.
type axis struct {
	scale    scale
	from, to float64
	step     float64 // from one tick to the next
	steps    int     // from, from+step, …: one more tick than steps
}

// axisOver is an axis that holds all from one value to another, and has about so many steps.
func axisOver(from, to float64, on scale, steps int) axis {
	if from, to = on.at(from), on.at(to); on == linear && flat(from, to) {
		to = from + 1 // zero all over
	}
	a := axis{scale: on, step: niceStep((to - from) / float64(steps))}
	if on != linear {
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
	return min(max((a.scale.at(v)-a.from)/(a.to-a.from), 0), 1) // it may be a hair outside
}

// tick is where tick i is, i from 0 to steps.
func (a axis) tick(i int) float64 {
	// Not from+i*step, which is 0.30000000000000004 where it should be 0.3, and 1e-17 where it should be 0.
	return (math.Round(a.from/a.step) + float64(i)) * a.step
}

// label is the text of tick i.
func (a axis) label(i int) string {
	at := a.tick(i)
	switch a.scale {
	case logarithmic:
		return short(math.Pow(10, math.Round(at)), 6)
	case nines:
		return percent(int(math.Round(at)))
	}
	// As many digits as tell two neighbours apart: 1000000.5 and 1000001 differ in the eighth.
	largest := max(math.Abs(a.from), math.Abs(a.to))
	return short(at, max(6, int(math.Log10(largest/a.step))+2))
}

func short(v float64, digits int) string { return strconv.FormatFloat(v, 'g', digits, 64) }

// percent is a share that begins with so many nines: 0%, 90%, 99%, 99.9%.
func percent(nines int) string {
	if nines == 0 {
		return "0%"
	}
	digits := max(nines-2, 0)
	return strconv.FormatFloat(100-math.Pow10(2-nines), 'f', digits, 64) + "%"
}
