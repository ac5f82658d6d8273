package hedge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// script is one call: what each attempt does, when the caller goes, and what the Budget says.
type script struct {
	hedges int
	delay  time.Duration // 0: none
	acts   [4]modelAct
	leaves time.Duration // when the caller's context ends; 0: it does not
	limit  bool          // by its deadline
	denies byte          // bit n: the Budget denies what it is asked for the nth time
}

// modelAct is what an attempt does.
type modelAct struct {
	takes time.Duration
	how   how
	deaf  bool // it does not heed its context
}

type how byte

const (
	succeeds     how = iota
	failsAgain       // with an error that is worth another attempt
	failsForGood     // with one that is not
	panics
	exits         // runtime.Goexit
	succeedsToo   // what is more likely is here twice
	failsWithNone // as failsAgain, without a value
	hows
)

// decode makes a script of bytes. No two events of a call are at the same moment, whichever attempts follow from which: the
// ends of attempts, the start of one at the end of another, and the end of the context differ in their microseconds, which are
// sums of different powers of two.
func decode(code []byte) script {
	at := func(i int) byte {
		if i < len(code) {
			return code[i]
		}
		return 0
	}
	s := script{hedges: 1 + int(at(0)%3), delay: time.Duration(at(1)%8) * 4 * ms, denies: at(2) & at(3)}
	if at(4)%3 == 0 {
		s.leaves, s.limit = time.Duration(at(4)/3%64)*ms+64*time.Microsecond, at(5)%2 == 0
	}
	for i := range s.acts {
		b, c := at(6+2*i), at(7+2*i)
		s.acts[i] = modelAct{time.Duration(b%40)*ms + time.Microsecond<<i, how(c % byte(hows)), c >= 128}
	}
	return s
}

// outcome is what a call comes to: as the reference says, and as it was.
type outcome struct {
	ends   string // "success", "failed", "left", "panic", "exit"
	value  int    // the number of the attempt; 0: none
	at     time.Duration
	starts []time.Duration
	failed []int // attempts whose errors are in that of the call, in their order
}

func (o outcome) String() string {
	return fmt.Sprintf("%s, value %d, at %v; attempts at %v; failed %v", o.ends, o.value, o.at, o.starts, o.failed)
}

// refer is a race as one would write it without goroutines: a list of events, of which the next is looked for each time.
func refer(s script) outcome {
	const never = time.Duration(1<<63 - 1)
	var o outcome
	running := map[int]time.Duration{} // attempts, and when they end
	asked, next := 0, s.delay
	timer := never
	start := func(now time.Duration) {
		o.starts = append(o.starts, now)
		n := len(o.starts)
		running[n] = now + s.acts[n-1].takes
		next = s.delay
	}
	hedge := func(now time.Duration) { // if there may be one
		if len(o.starts) > s.hedges {
			return
		}
		asked++
		if s.denies>>(asked-1)&1 == 1 && asked <= 8 {
			next = max(2*next, ms)
		} else {
			start(now)
		}
		timer = now + next
		if len(o.starts) > s.hedges {
			timer = never
		}
	}
	start(0)
	timer = s.delay
	for {
		first, now := 0, never
		for n, end := range running {
			if end < now {
				first, now = n, end
			}
		}
		leaves := s.leaves
		if leaves == 0 {
			leaves = never
		}
		switch o.at = min(now, timer, leaves); {
		case o.at == leaves:
			o.ends = "left"
			return o
		case o.at == timer:
			timer = never
			hedge(o.at)
			continue
		}
		delete(running, first)
		switch s.acts[first-1].how {
		case succeeds, succeedsToo:
			o.ends, o.value, o.failed = "success", first, nil
			return o
		case panics:
			o.ends, o.failed = "panic", nil
			return o
		case exits:
			o.ends, o.failed = "exit", nil
			return o
		case failsAgain, failsWithNone:
			o.failed = append(o.failed, first)
			hedge(o.at)
		case failsForGood:
			o.failed = append(o.failed, first)
		}
		slices.Sort(o.failed)
		if len(running) == 0 {
			o.ends = "failed"
			if s.acts[0].how != failsWithNone {
				o.value = 1
			}
			return o
		}
	}
}

// attemptError is what an attempt fails with.
type attemptError struct {
	n     int
	again bool
}

func (e *attemptError) Error() string { return fmt.Sprint("attempt ", e.n) }

// play runs the script for real. It returns what came of it, and what is wrong with the books.
func (s script) play(ctx context.Context) (o outcome, fault error) {
	asked := 0
	var mu sync.Mutex
	c := free(max(s.delay, 0), s.hedges)
	if s.delay == 0 {
		c.Delay = -1
	}
	c.HedgeIf = func(err error) bool { return err.(*attemptError).again }
	c.Budget = gate(func() bool {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return asked > 8 || s.denies>>(asked-1)&1 == 0
	})
	p := hedge.MustNew(c)
	if s.leaves > 0 && s.limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.leaves)
		defer cancel()
	} else if s.leaves > 0 {
		var stop context.CancelFunc
		ctx, stop = cancelAfter(ctx, s.leaves, errCause)
		defer stop()
	}
	zero := time.Now()
	produced, kept := map[int]int{}, map[int]int{} // attempts whose values were made; and came back, or were discarded
	var err error
	panicked, exited := ended(func() {
		o.value, err = hedge.DoDiscard(ctx, p, func(ctx context.Context) (int, error) {
			n := hedge.AttemptFrom(ctx)
			a := s.acts[n-1]
			mu.Lock()
			o.starts = append(o.starts, time.Since(zero))
			mu.Unlock()
			if a.deaf {
				time.Sleep(a.takes)
			} else {
				select {
				case <-ctx.Done():
				case <-time.After(a.takes):
				}
			}
			made := func(v int, err error) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				if v != 0 {
					produced[n]++
				}
				return v, err
			}
			switch a.how {
			case failsAgain, failsForGood:
				return made(n, &attemptError{n, a.how == failsAgain})
			case failsWithNone:
				return made(0, &attemptError{n, true})
			case panics:
				panic("panic")
			case exits:
				goexit()
			}
			return made(n, nil)
		}, func(v int) {
			mu.Lock()
			defer mu.Unlock()
			kept[v]++
		})
	})
	o.at = time.Since(zero)
	time.Sleep(time.Second) // all have ended
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	if o.value != 0 {
		kept[o.value]++
	}
	if fmt.Sprint(produced) != fmt.Sprint(kept) {
		fault = fmt.Errorf("values made %v, returned or discarded %v", produced, kept)
	}
	o.ends, o.failed = endOf(err, panicked, exited)
	want := p.Snapshot()
	books := hedge.Snapshot{At: want.At, Calls: 1, Hedges: uint64(len(o.starts) - 1), Denied: want.Denied, Delay: want.Delay}
	switch o.ends {
	case "success":
		books.Successes = 1
		if o.value > 1 {
			books.Wins = 1
		}
	case "left":
		books.Ignored = 1
	default:
		books.Failures = 1
	}
	if fmt.Sprint(books) != fmt.Sprint(want) {
		fault = fmt.Errorf("books %+v, want %+v", want, books)
	}
	return o, fault
}

// endOf reads how a call ended from what it returned.
func endOf(err error, panicked any, exited bool) (ends string, failed []int) {
	switch all, _ := err.(*hedge.Error); {
	case exited:
		return "exit", nil
	case panicked != nil:
		return "panic", nil
	case err == nil:
		return "success", nil
	case all != nil:
		for _, each := range all.Errs {
			failed = append(failed, each.(*attemptError).n)
		}
		if all.Cause != nil {
			return "left", failed
		}
		return "failed", failed
	}
	if one, ok := err.(*attemptError); ok {
		return "failed", []int{one.n}
	}
	return "left", nil
}

// checkModel plays the script of these bytes and compares it with the reference.
func checkModel(ctx context.Context, code []byte) error {
	s := decode(code)
	want := refer(s)
	got, fault := s.play(ctx)
	if got.ends == "left" && s.leaves > 0 {
		// Attempts that heed their context return when it ends. Those whose result comes in time are in the error, and may
		// even win; nobody is waited for, though. So of these only the moment is certain.
		got.failed = slices.DeleteFunc(got.failed, func(n int) bool { return !slices.Contains(want.failed, n) })
	}
	if want.ends == "left" && got.ends != "left" && heeds(s, len(want.starts)) {
		want.ends, want.value, want.failed = got.ends, got.value, got.failed
	}
	if g, w := got.String(), want.String(); g != w {
		return fmt.Errorf("%+v\n got %s\nwant %s", s, g, w)
	}
	return fault
}

// heeds reports whether one of the first n attempts heeds its context.
func heeds(s script, n int) bool {
	for _, a := range s.acts[:n] {
		if !a.deaf {
			return true
		}
	}
	return false
}

func TestModel(t *testing.T) {
	seen := map[string]int{}
	random := rand.New(rand.NewPCG(1, 5))
	for range fewer(20_000, 2_000) {
		code := make([]byte, 14)
		for i := range code {
			code[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(t.Context(), code); err != nil {
				t.Fatalf("%v: %v", code, err)
			}
		})
		o := refer(decode(code))
		seen[o.ends]++
		if o.value > 1 {
			seen["success of a hedge"]++
		}
		if len(o.failed) > 0 {
			seen[o.ends+" with failures"]++
		}
	}
	for _, want := range []string{"success", "success of a hedge", "failed", "left", "left with failures", "panic", "exit"} {
		if seen[want] == 0 {
			t.Errorf("no script ended with %s: %v", want, seen)
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0, 1, 0, 30, 0, 5, 0})           // a hedge wins
	f.Add([]byte{1, 2, 0, 0, 1, 0, 3, 1, 5, 1, 4, 130, 0}) // all fail but one
	f.Add([]byte{2, 2, 255, 255, 30, 0, 39, 128, 5, 1})    // denied, and the caller goes
	f.Add([]byte{2, 0, 0, 0, 1, 0, 3, 131, 5, 132, 2, 4})  // panics
	f.Add([]byte("(00000\x1e??0?_??"))                     // an attempt panics just when the caller goes
	f.Fuzz(func(t *testing.T, code []byte) {
		synctest.Test(t, func(t *testing.T) {
			if err := checkModel(t.Context(), code); err != nil {
				t.Fatal(err)
			}
		})
	})
}
