package chaos

import "math"

// dice is chance that is the same each time: a stream of numbers that follows from where it begins. (SplitMix64: Steele, Lea,
// Flood, OOPSLA 2014.) It is not math/rand, whose generators cost more to begin than the one or two numbers that a fault needs.
type dice struct{ at uint64 }

const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio

// throw begins a stream for what a and b name.
func throw(a, b uint64) dice { return dice{mix(a) ^ mix(b+golden)} }

func (d *dice) next() uint64 {
	d.at += golden
	return mix(d.at)
}

// mix spreads each bit over all 64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uniform is from 0 up to but not 1.
func (d *dice) uniform() float64 { return float64(d.next()>>11) / (1 << 53) }

// normal has mean 0 and deviation 1 (Box and Muller 1958).
func (d *dice) normal() float64 {
	r := math.Sqrt(-2 * math.Log(1-d.uniform()))
	return r * math.Cos(2*math.Pi*d.uniform())
}

// exponential has mean 1.
func (d *dice) exponential() float64 { return -math.Log(1 - d.uniform()) }

// hash is of a key: the same in every process, as that of hash/maphash is not. (FNV-1a.)
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}
