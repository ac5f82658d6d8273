package main

import (
	"bufio"
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// key names what was measured: BenchmarkStack/three/holdfast-2 is group Stack, job three, side holdfast, on two cores.
type key struct {
	group, job, side string
	cores            int
}

// sample is one line: the values by their units.
type sample map[string]float64

// results are the samples of each key, one for each round.
type results map[key][]sample

var benchLine = regexp.MustCompile(`^Benchmark([^/\s]+)/([^/\s]+?)(?:/(\S+?))?(?:-(\d+))?\s+\d+\s+(.+)$`)

func parse(raw []byte) results {
	found := results{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := benchLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		k := key{group: m[1], job: m[2], side: m[3], cores: 1}
		if m[4] != "" {
			k.cores, _ = strconv.Atoi(m[4])
		}
		s := sample{}
		fields := strings.Fields(m[5])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				s[fields[i+1]] = v
			}
		}
		found[k] = append(found[k], s)
	}
	return found
}

const (
	perOp  = "ns/op"
	perCPU = "cpu-ns/op"
	bytesA = "B/op"
	allocs = "allocs/op"
)

// values are those of one unit, one for each round; nil if there are none.
func (r results) values(k key, unit string) []float64 {
	var vs []float64
	for _, s := range r[k] {
		if v, ok := s[unit]; ok {
			vs = append(vs, v)
		}
	}
	return vs
}

func (r results) median(k key, unit string) float64 { return median(r.values(k, unit)) }

func median(vs []float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	vs = slices.Sorted(slices.Values(vs))
	if n := len(vs); n%2 == 0 {
		return (vs[n/2-1] + vs[n/2]) / 2
	}
	return vs[len(vs)/2]
}

// ratio is the median over the rounds of a's value over b's in the same round: what disturbs a round disturbs both. It is 0
// if one of them was not measured.
func ratio(a, b []float64) float64 {
	n := min(len(a), len(b))
	ratios := make([]float64, 0, n)
	for i := range n {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return median(ratios)
}

func times(vs []float64, by float64) []float64 {
	out := slices.Clone(vs)
	for i := range out {
		out[i] *= by
	}
	return out
}
