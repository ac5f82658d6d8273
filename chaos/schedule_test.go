package chaos_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// When a fault of rate 1 strikes, second by second.
func TestSchedule(t *testing.T) {
	for _, test := range []struct {
		name     string
		schedule chaos.Schedule
		want     string
	}{
		{"always", chaos.Schedule{}, "1111111111"},
		{"from", chaos.Schedule{From: 3 * time.Second}, "0001111111"},
		{"until", chaos.Schedule{Until: 3 * time.Second}, "1110000000"},
		{"from and until", chaos.Schedule{From: 2 * time.Second, Until: 5 * time.Second}, "0011100000"},
		{"flapping", chaos.Schedule{On: 2 * time.Second, Off: time.Second}, "1101101101"},
		{"flapping later", chaos.Schedule{From: time.Second, Until: 8 * time.Second, On: time.Second, Off: 2 * time.Second}, "0100100100"},
		{"long", chaos.Schedule{On: math.MaxInt64, Off: math.MaxInt64}, "1111111111"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, Schedule: test.schedule})
				got := ""
				for range 10 {
					got += pattern(t.Context(), in, 1)
					time.Sleep(time.Second)
				}
				if got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
			})
		})
	}
}

// A ramp lets the rate rise evenly, and who was struck at a low rate is struck at a high one.
func TestRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 0.8, Schedule: chaos.Schedule{From: time.Minute, Ramp: 100 * time.Second}})
		const n = 5000
		time.Sleep(time.Minute)
		var counts []int
		for range 5 {
			before := struck(in)[0]
			pattern(t.Context(), in, n)
			counts = append(counts, int(struck(in)[0]-before))
			time.Sleep(25 * time.Second)
		}
		for i, got := range counts {
			want := 0.8 * float64(i) / 4 * n
			if math.Abs(float64(got)-want) > 5*math.Sqrt(n)/2 {
				t.Errorf("after %d s: %d of %d, want about %.0f", 25*i, got, n, want)
			}
		}
	})
}

// delays are those of n calls, sorted.
func delays(t *testing.T, d chaos.Delay, n int) (all []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: d})
		for range n {
			start := time.Now()
			pattern(t.Context(), in, 1)
			all = append(all, time.Since(start))
		}
	})
	slices.Sort(all)
	return all
}

func near(t *testing.T, what string, got, want time.Duration, by float64) {
	t.Helper()
	if got < time.Duration(float64(want)*(1-by)) || got > time.Duration(float64(want)*(1+by)) {
		t.Errorf("%s: %v, want about %v", what, got, want)
	}
}

func TestDelays(t *testing.T) {
	const n = 10_000
	ms := time.Millisecond
	if d := delays(t, chaos.Delay{Median: 50 * ms}, 10); d[0] != 50*ms || d[9] != 50*ms {
		t.Errorf("fixed: %v to %v", d[0], d[9])
	}
	d := delays(t, chaos.Delay{Median: 50 * ms, Sigma: 0.5}, n)
	near(t, "log-normal, median", d[n/2], 50*ms, 0.03)
	near(t, "log-normal, p99", d[n*99/100], 160*ms, 0.1) // 50 ms × e^(0.5 × 2.326)
	near(t, "log-normal, p1", d[n/100], 15600*time.Microsecond, 0.1)

	d = delays(t, chaos.Delay{Median: 10 * ms, Slow: time.Second, SlowShare: 0.2}, n)
	slow, _ := slices.BinarySearch(d, 11*ms)
	if d[0] != 10*ms || d[n-1] != time.Second || math.Abs(float64(n-slow)-0.2*n) > 200 {
		t.Errorf("bimodal: %v to %v, %d slow", d[0], d[n-1], n-slow)
	}

	d = delays(t, chaos.Delay{Median: 10 * ms, Sigma: 3}, n)
	if d[n-1] != time.Second {
		t.Errorf("the longest is %v, want 100 medians", d[n-1])
	}
	if d = delays(t, chaos.Delay{Median: 10 * ms, Sigma: 3, Max: 20 * ms}, n); d[n-1] != 20*ms {
		t.Errorf("the longest is %v, want Max", d[n-1])
	}
}

// The longest times do not wrap.
func TestDelayLongest(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	for _, d := range []chaos.Delay{
		{Median: longest},
		{Median: longest, Sigma: 10, Max: longest},
		{Median: longest / 2, Sigma: 0.01},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := on(t, chaos.Fault{Kind: chaos.Latency, Rate: 1, Delay: d})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if _, err := chaos.Do(ctx, in, hello); !errors.Is(err, context.DeadlineExceeded) && d.Sigma < 1 {
				t.Errorf("%+v: %v", d, err)
			}
		})
	}
}
