package chaos_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// A fault is in force when its Schedule says so, for any Schedule.
func TestAnySchedule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := chaos.Schedule{From: time.Duration(r.IntN(5)) * time.Second}
		if r.IntN(2) == 0 {
			s.Until = s.From + time.Duration(1+r.IntN(10))*time.Second
		}
		if r.IntN(2) == 0 {
			s.On, s.Off = time.Duration(1+r.IntN(3))*time.Second, time.Duration(1+r.IntN(3))*time.Second
		}
		synctest.Test(t, func(t *testing.T) {
			in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, Schedule: s})
			for at := time.Duration(0); at < 20*time.Second; at += time.Second / 2 {
				want := at >= s.From && (s.Until == 0 || at < s.Until)
				if s.On > 0 && want {
					want = (at-s.From)%(s.On+s.Off) < s.On
				}
				if _, err := chaos.Do(t.Context(), in, hello); (err != nil) != want {
					t.Errorf("%+v at %v: %v", s, at, err)
				}
				time.Sleep(time.Second / 2)
			}
		})
	}
}

// Whatever slows a connection down, holds it or fails for a while, and whatever deadlines there are: who goes on reading and
// writing gets each byte through once.
func TestConnGetsAllThrough(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			in := chaos.MustNew(chaos.Config{Seed: seed, Faults: someHarmless(r)})
			in.Enable()
			defer in.Disable()
			under, far := net.Pipe()
			near := chaos.Conn(in, under)
			whole := text(1500)
			var all sync.WaitGroup
			all.Go(func() { sendAll(near, whole, rand.New(rand.NewPCG(seed, 3))) })
			all.Go(func() { trickle(far, whole, rand.New(rand.NewPCG(seed, 4))) })
			all.Go(func() {
				if got, err := read(far, len(whole)); got != whole {
					t.Errorf("seed %d: written: %d bytes, %v", seed, len(got), err)
				}
			})
			if got := readAll(near, len(whole), r, in); got != whole {
				t.Errorf("seed %d: read: %q", seed, got)
			}
			all.Wait()
			_, _ = near.Close(), far.Close()
		})
	}
}

// someHarmless are faults that lose nothing.
func someHarmless(r *rand.Rand) (some []chaos.Fault) {
	for _, f := range []chaos.Fault{
		{Kind: chaos.Slow, BytesPerSecond: int64(1 + r.IntN(3000))},
		{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Second, Sigma: 1}},
		{Kind: chaos.BlackHole, Schedule: chaos.Schedule{On: 2 * time.Second, Off: 3 * time.Second}},
		{Kind: chaos.Failure, Schedule: chaos.Schedule{On: time.Second, Off: 3 * time.Second}},
		{Kind: chaos.Deaf, Delay: chaos.Delay{Median: time.Second}},
	} {
		if f.Rate = 1; r.IntN(2) == 0 {
			some = append(some, f)
		}
	}
	return some
}

// sendAll writes until all is written, in spite of errors.
func sendAll(c net.Conn, rest string, r *rand.Rand) {
	for len(rest) > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(time.Duration(r.IntN(3000)) * time.Millisecond))
		n, err := c.Write([]byte(rest))
		if rest = rest[n:]; err != nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// trickle writes a piece from time to time.
func trickle(c net.Conn, rest string, r *rand.Rand) {
	for len(rest) > 0 {
		n := min(len(rest), 1+r.IntN(200))
		_, _ = io.WriteString(c, rest[:n])
		rest = rest[n:]
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
	}
}

// readAll reads so many bytes, in spite of errors, and of what is switched off and on.
func readAll(c net.Conn, n int, r *rand.Rand, in *chaos.Injector) string {
	var got []byte
	for len(got) < n {
		_ = c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(3000)) * time.Millisecond))
		p := make([]byte, 1+r.IntN(300))
		m, err := c.Read(p)
		if got = append(got, p[:m]...); err != nil {
			time.Sleep(100 * time.Millisecond)
		}
		if r.IntN(100) == 0 {
			in.Disable()
			in.Enable()
		}
	}
	return string(got)
}
