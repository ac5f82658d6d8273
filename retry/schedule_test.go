package retry_test

import (
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfast-go/holdfast/retry"
)

var _ backoff.BackOff = retry.FullJitter(0, 0, nil)

// The delays are spread evenly over 0 to the ceiling, both ends included.
func TestFullJitterSpread(t *testing.T) {
	s := retry.FullJitter(4, 4, nil) // nanoseconds: five values
	var seen [5]int
	for range 10_000 {
		seen[s.NextBackOff()]++
	}
	for d, n := range seen {
		if n < 1700 || n > 2300 { // 2000, give or take seven standard deviations
			t.Errorf("delay %d drawn %d times of 10,000, want about 2,000", d, n)
		}
	}
}

func TestFullJitterSeeded(t *testing.T) {
	s := retry.FullJitter(100, 1000, func() float64 { return 0.5 })
	for round := range 2 {
		for i, want := range []time.Duration{50, 100, 200, 400, 500, 500} {
			if got := s.NextBackOff(); got != want {
				t.Errorf("round %d, delay %d: %v, want %v", round, i, got, want)
			}
		}
		s.Reset()
	}
}

// Whatever base and ceiling: never below zero, never above the ceiling, and no overflow in ten thousand attempts.
func FuzzFullJitter(f *testing.F) {
	f.Add(int64(100), int64(5000), 0.5)
	f.Add(int64(1), int64(1<<63-1), 1.0)
	f.Add(int64(1<<63-1), int64(1<<63-1), 0.999999)
	f.Add(int64(-5), int64(-7), -1.0)
	f.Fuzz(func(t *testing.T, base, ceiling int64, random float64) {
		sources := []func() float64{nil}
		if random >= 0 && random < 1 {
			sources = append(sources, func() float64 { return random })
		}
		for _, source := range sources {
			s := retry.FullJitter(time.Duration(base), time.Duration(ceiling), source)
			for i := range 10_000 {
				if d := s.NextBackOff(); d < 0 || d > max(time.Duration(ceiling), 0) {
					t.Fatalf("base %d, ceiling %d: delay %d is %d", base, ceiling, i, d)
				}
			}
		}
	})
}
