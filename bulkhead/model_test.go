package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// model is a bulkhead as one would write it without a care for speed: the calls that wait in the order of their coming,
// looked through each time. It knows nothing of slots that are free or withheld, of modes and of locks.
type model struct {
	config bulkhead.Config
	limit  int
	calls  bulkhead.Calls // how long calls take: the bulkhead's own estimates, just before the operation
	now    time.Duration

	inUse   int
	queue   []*modelCall  // in the order of their coming
	since   time.Duration // when the queue was last empty
	waited  uint64        // calls that waited, and have their answer
	ended   map[string]uint64
	refused map[string]uint64
}

// modelCall is a call, and what is to become of it.
type modelCall struct {
	priority bulkhead.Priority
	since    time.Duration
	deadline time.Duration // 0: none
	answer   string        // "": it waits
	at       time.Duration // when it was answered
}

// The answers that are no refusal. All others are reasons of one.
const (
	granted = "granted"
	ended   = "ended" // the context, while it waited
	tooSoon = "over"  // the context, before the call
)

// standing: the queue was not empty for an Interval, and somebody has waited for more than Target.
func (m *model) standing() bool {
	if len(m.queue) == 0 || m.config.Interval < 0 || m.now-m.since <= m.config.Interval {
		return false
	}
	return m.now-m.queue[0].since > m.config.Target
}

// inTurn is the order in which calls are served: what matters most first; and of that who came first, or newest first.
func inTurn(calls []*modelCall, newestFirst bool) []*modelCall {
	turn := slices.Clone(calls)
	if newestFirst {
		slices.Reverse(turn)
	}
	slices.SortStableFunc(turn, func(a, b *modelCall) int { return int(b.priority) - int(a.priority) })
	return turn
}

// arrive is a call that may wait.
func (m *model) arrive(c *modelCall) {
	if m.inUse < m.limit {
		m.answer(c, granted)
		return
	}
	newestFirst := m.standing()
	turn := inTurn(append(slices.Clone(m.queue), c), newestFirst)
	wait := float64(slices.Index(turn, c)) * float64(m.calls.Mean) / float64(m.limit)
	last := turn[len(turn)-1]
	switch {
	case m.config.Queue == 0:
		m.answer(c, "full")
	case m.tooLate(c, m.now+time.Duration(wait)):
		m.answer(c, "deadline")
	case len(turn) <= m.config.Queue:
	case last == c:
		m.answer(c, "queue_full")
	case last.priority < c.priority:
		m.answer(last, "priority")
	default:
		m.answer(last, "overload")
	}
	if c.answer == "" {
		if len(turn) == 1 { // who takes another's place does not make the queue a new one
			m.since = m.now
		}
		m.queue = append(m.queue, c)
	}
}

// try is a call that does not wait.
func (m *model) try(c *modelCall) {
	if m.inUse < m.limit {
		m.answer(c, granted)
	} else {
		m.answer(c, "full")
	}
}

// tooLate reports whether c would not be done before its deadline.
func (m *model) tooLate(c *modelCall, at time.Duration) bool {
	return c.deadline > 0 && at+m.calls.Median > c.deadline
}

// serve gives free places to those who wait.
func (m *model) serve() {
	newestFirst := m.standing()
	for _, c := range inTurn(m.queue, newestFirst) {
		switch {
		case m.inUse >= m.limit:
		case m.tooLate(c, m.now):
			m.answer(c, "deadline")
		default:
			m.answer(c, granted)
		}
	}
	for _, c := range slices.Clone(m.queue) {
		if newestFirst && m.now-c.since > m.config.Target && !m.lesserWaits(c) {
			m.answer(c, "overload")
		}
	}
}

// lesserWaits reports whether somebody waits who matters less than c, and has not waited too long: nobody is shed before
// them.
func (m *model) lesserWaits(c *modelCall) bool {
	return slices.ContainsFunc(m.queue, func(other *modelCall) bool {
		return other.priority < c.priority && m.now-other.since <= m.config.Target
	})
}

func (m *model) release(outcome string) {
	m.inUse--
	m.ended[outcome]++
	m.serve()
}

func (m *model) resize(limit int) {
	m.limit = limit
	m.serve()
}

func (m *model) cancel(c *modelCall) {
	if c.answer == "" {
		m.answer(c, ended)
	}
}

// pass lets time pass: nothing happens, but that some have waited for long enough.
func (m *model) pass(d time.Duration) {
	until := m.now + d
	for _, c := range slices.Clone(m.queue) {
		m.now = until
		why := ""
		if most := c.since + m.config.MaxWait; m.config.MaxWait > 0 && most <= m.now {
			why, m.now = "max_wait", most
		}
		if c.deadline > 0 && c.deadline <= m.now {
			why, m.now = ended, c.deadline
		}
		if why != "" {
			m.answer(c, why)
		}
	}
	m.now = until
}

func (m *model) answer(c *modelCall, answer string) {
	if i := slices.Index(m.queue, c); i >= 0 {
		m.queue = slices.Delete(m.queue, i, i+1)
		m.waited++
	}
	c.answer, c.at = answer, m.now
	switch answer {
	case granted:
		m.inUse++
	case ended, tooSoon:
		m.ended["ignored"]++
	default:
		m.refused[answer]++
	}
}

// realCall is the same call through the bulkhead.
type realCall struct {
	cancel  func()
	permit  bulkhead.Permit
	answers int
	answer  string
	waited  time.Duration
	at      time.Duration
	held    bool // it has its place, and has not given it back
}

// scriptRun runs a script on a bulkhead and on the model.
type scriptRun struct {
	b     *bulkhead.Bulkhead
	m     *model
	start time.Time
	want  []*modelCall
	got   []*realCall
}

// byteCode reads a script.
type byteCode []byte

func (c *byteCode) next() int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b)
}

// Operations happen at whole milliseconds, MaxWait ends at another time and deadlines at yet another: so it is certain what
// comes first.
const (
	maxWaitsEnd  = 300 * time.Microsecond
	deadlinesEnd = 700 * time.Microsecond
)

func (c *byteCode) config() bulkhead.Config {
	return bulkhead.Config{
		Name:     "model",
		Limit:    []int{1, 2, 3, 4, 9, 17}[c.next()%6],
		Queue:    []int{0, 1, 2, 4, 8, 8, 8, 8}[c.next()%8],
		MaxWait:  []time.Duration{0, 0, 5 * time.Millisecond, 30 * time.Millisecond}[c.next()%4],
		Interval: []time.Duration{-1, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond}[c.next()%4],
		Target:   []time.Duration{time.Microsecond, 2 * time.Millisecond, 8 * time.Millisecond}[c.next()%3],
	}
}

// script runs the operations that code has, on both, and returns how they differ. It runs in a bubble.
func script(code byteCode) error {
	config := code.config()
	if config.MaxWait > 0 {
		config.MaxWait += maxWaitsEnd
	}
	r := &scriptRun{
		b:     bulkhead.MustNew(config),
		m:     &model{config: config, limit: config.Limit, ended: map[string]uint64{}, refused: map[string]uint64{}},
		start: time.Now(),
	}
	for i := 0; len(code) > 0; i++ {
		op, arg := code.next(), code.next()
		r.m.calls = r.b.Snapshot().Calls
		r.operate(op%16, arg)
		if err := r.compare(); err != nil {
			r.abandon()
			return fmt.Errorf("%+v: operation %d (%d, %d): %w", config, i, op%16, arg, err)
		}
	}
	defer r.abandon()
	if err := r.end(); err != nil {
		return fmt.Errorf("%+v: in the end: %w", config, err)
	}
	return nil
}

func (r *scriptRun) operate(op, arg int) {
	switch {
	case op < 6:
		r.arrive(arg)
	case op == 6:
		r.call(context.Background(), &modelCall{}, r.m.try, func(context.Context) (bulkhead.Permit, error) { return r.b.TryAcquire() })
	case op == 7 && arg < 32:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.call(ctx, &modelCall{}, func(c *modelCall) { r.m.answer(c, tooSoon) }, r.b.Acquire)
	case op == 7: // as many as there are places
		for range r.m.limit - r.m.inUse {
			r.operate(6, 0)
		}
	case op < 11:
		r.release(arg)
	case op == 11 && len(r.got) > 0:
		if n := max(len(r.got)-1-arg%16, 0); r.got[n].cancel != nil {
			r.m.cancel(r.want[n])
			r.got[n].cancel()
		}
	case op == 12:
		limit := 1 + arg%20
		r.m.resize(limit)
		if err := r.b.Resize(limit); err != nil {
			panic(err)
		}
	default:
		d := time.Duration(1+arg%10) * time.Millisecond
		time.Sleep(d)
		r.m.pass(d)
	}
}

// arrive makes a call that may wait: with a priority, perhaps a deadline, and perhaps somebody who may cancel it.
func (r *scriptRun) arrive(arg int) {
	c := &modelCall{priority: bulkhead.Priority(arg%3 - 1)}
	ctx := context.Background()
	if c.priority != bulkhead.Normal {
		ctx = bulkhead.WithPriority(ctx, c.priority)
	}
	if arg = arg / 3; arg%3 == 1 {
		left := time.Duration(arg/3)*time.Millisecond + deadlinesEnd
		c.deadline = r.m.now + left
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, left)
		context.AfterFunc(ctx, cancel) // it ends by itself
	}
	r.call(ctx, c, r.m.arrive, r.b.Acquire)
}

// call makes a call in a goroutine of its own, and waits until it has its place or waits for one.
func (r *scriptRun) call(ctx context.Context, c *modelCall, want func(*modelCall), acquire func(context.Context) (bulkhead.Permit, error)) {
	g := &realCall{}
	if len(r.got)%3 > 0 { // the others cannot be cancelled: they wait in another way
		ctx, g.cancel = context.WithCancel(ctx)
	}
	c.since = r.m.now
	want(c)
	r.want, r.got = append(r.want, c), append(r.got, g)
	go func() {
		var err error
		g.permit, err = acquire(ctx)
		g.answers++
		g.at = time.Since(r.start)
		g.answer, g.held = granted, err == nil
		var full *bulkhead.FullError
		switch {
		case errors.As(err, &full):
			g.answer, g.waited = full.Reason.String(), full.Waited
		case err != nil:
			g.answer = tooSoon
		}
	}()
	synctest.Wait()
}

// scriptResults are what calls come to, and what is made of it.
var scriptResults = []struct {
	err     error
	outcome string
}{
	{nil, "success"},
	{nil, "success"},
	{errors.New("boom"), "failure"},
	{context.Canceled, "ignored"},
	{&bulkhead.FullError{Name: "below"}, "ignored"},
}

// release gives a place back; and once more, which does nothing.
func (r *scriptRun) release(arg int) {
	var held []*realCall
	for _, g := range r.got {
		if g.held {
			held = append(held, g)
		}
	}
	if len(held) == 0 {
		return
	}
	g := held[arg%len(held)]
	g.held = false
	result := scriptResults[arg%len(scriptResults)]
	r.m.release(result.outcome)
	g.permit.Done(result.err)
	if synctest.Wait(); arg%2 == 0 {
		g.permit.Done(errors.New("again"))
	}
}

// compare compares what has become of each call, and the books.
func (r *scriptRun) compare() error {
	synctest.Wait()
	for i, g := range r.got {
		want := r.want[i]
		switch {
		case g.answer != want.answer:
			return fmt.Errorf("call %d: %q, want %q", i, g.answer, want.answer)
		case g.answer == "":
		case g.answers != 1 || g.at != want.at:
			return fmt.Errorf("call %d: answered %d times, at %v; want once at %v", i, g.answers, g.at, want.at)
		case g.answer != granted && g.waited != want.at-want.since:
			return fmt.Errorf("call %d: waited %v, want %v", i, g.waited, want.at-want.since)
		case r.m.config.MaxWait > 0 && g.at-want.since > r.m.config.MaxWait:
			return fmt.Errorf("call %d: waited %v, which is more than MaxWait", i, g.at-want.since)
		}
	}
	s := r.b.Snapshot()
	if s.InUse != r.m.inUse || s.Limit != r.m.limit || s.Queued != len(r.m.queue) || s.Standing != r.m.standing() || s.Waited != r.m.waited {
		return fmt.Errorf("%d of %d in use, %d queued, %d have waited, standing %v; want %d of %d, %d, %d, %v",
			s.InUse, s.Limit, s.Queued, s.Waited, s.Standing, r.m.inUse, r.m.limit, len(r.m.queue), r.m.waited, r.m.standing())
	}
	return r.compareBooks(s)
}

func (r *scriptRun) compareBooks(s bulkhead.Snapshot) error {
	refused, sum := map[string]uint64{}, uint64(0)
	for reason, n := range s.RefusedBy {
		refused[reason.String()] = n
		sum += n
	}
	if !maps.Equal(refused, r.m.refused) || s.Refused != sum {
		return fmt.Errorf("refused %d: %v; want %v", s.Refused, refused, r.m.refused)
	}
	if s.Successes != r.m.ended["success"] || s.Failures != r.m.ended["failure"] || s.Ignored != r.m.ended["ignored"] {
		return fmt.Errorf("%d successes, %d failures, %d ignored; want %v", s.Successes, s.Failures, s.Ignored, r.m.ended)
	}
	if all := s.Successes + s.Failures + s.Ignored + s.Refused + uint64(s.InUse+s.Queued); all != uint64(len(r.got)) {
		return fmt.Errorf("%d calls are in the books, of %d", all, len(r.got))
	}
	return nil
}

// end gives all places back until nobody is left. Then the whole limit can be taken, and not one more.
func (r *scriptRun) end() error {
	for r.m.inUse > 0 {
		r.m.calls = r.b.Snapshot().Calls
		r.release(0)
		if err := r.compare(); err != nil {
			return err
		}
	}
	for range r.m.limit + 1 {
		r.operate(6, 0)
	}
	return r.compare()
}

// abandon lets everybody in, so that the bubble can end.
func (r *scriptRun) abandon() {
	if err := r.b.Resize(len(r.got) + 1); err != nil {
		panic(err)
	}
	synctest.Wait()
	for _, g := range r.got {
		if g.cancel != nil {
			g.cancel()
		}
	}
}

func TestModel(t *testing.T) {
	seeds := uint64(400)
	if raceEnabled { // a tenth as fast, and there are no races to be found where goroutines take turns
		seeds = 60
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		code := make(byteCode, 5+2*random.IntN(300))
		for i := range code {
			code[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			if err := script(code); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
	}
}

// what says in a word what came of asking for a place.
func what(err error) string {
	var full *bulkhead.FullError
	switch {
	case err == nil:
		return granted
	case errors.As(err, &full):
		return full.Reason.String()
	default:
		return tooSoon
	}
}
