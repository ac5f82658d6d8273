package chaos

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Monkey takes out one member of a group at a time, at random, and puts it back: targets of a failover, backends of a service.
// What survives it will survive the night on which one of them fails by itself. (Chaos Monkey: Netflix, 2011.)
//
// It does nothing, and has no goroutine, until Start. It is safe for concurrent use. A nil Monkey never does anything.
type Monkey struct {
	cfg   MonkeyConfig
	scope *telemetry.Scope

	mu   sync.Mutex
	stop context.CancelFunc // nil: it is not at work
	done chan struct{}      // closed when its goroutine has ended
	rest time.Time          // until when nobody is taken out, whoever starts it
	seen MonkeySnapshot
}

// MonkeySnapshot is a Monkey at one moment.
type MonkeySnapshot struct {
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	Running bool      `json:"running"`
	Out     string    `json:"out,omitempty"`  // who is out now
	Since   time.Time `json:"since,omitzero"` // when the last one was taken out
	Taken   uint64    `json:"taken"`          // how many were taken out, since New
	Skipped uint64    `json:"skipped"`        // how often there were too few, or the Window had closed by then
}

// NewMonkey returns a Monkey that does nothing yet, or an error that names every field of c that cannot work.
func NewMonkey(c MonkeyConfig) (*Monkey, error) {
	f := conf.Check("chaos.MonkeyConfig")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &Monkey{
		cfg:   c.withDefaults(),
		scope: telemetry.NewScope(telemetry.Options{Type: "chaos monkey", Name: c.Name, Logger: c.Logger}),
	}, nil
}

// MustNewMonkey is NewMonkey for package variables: it panics where NewMonkey returns an error.
func MustNewMonkey(c MonkeyConfig) *Monkey {
	m, err := NewMonkey(c)
	if err != nil {
		panic(err)
	}
	return m
}

// Start sets it to work, from its Seed on, until Close. If it is at work already nothing changes.
func (m *Monkey) Start() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.done = stop, make(chan struct{})
	go m.work(ctx, m.done)
}

// Close ends its work, and returns when who was out has been put back. It may be started again. The error is nil.
func (m *Monkey) Close() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	stop, done := m.stop, m.done
	m.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	<-done
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == done { // nobody has started it since
		m.stop = nil
	}
	return nil
}

// Snapshot returns the Monkey as it is now.
func (m *Monkey) Snapshot() MonkeySnapshot {
	if m == nil {
		return MonkeySnapshot{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.seen
	s.Name, s.At, s.Running = m.cfg.Name, time.Now(), m.stop != nil
	return s
}

// work takes out one after the other until ctx ends.
func (m *Monkey) work(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	m.scope.Log(ctx, slog.LevelWarn, "the monkey is loose", slog.Uint64("seed", m.cfg.Seed))
	chance := throw(m.cfg.Seed, 0)
	for sleepUntil(ctx, m.next(m.rested(), &chance)) {
		m.act(ctx, &chance)
	}
}

// rested is when the next one may be taken out at the earliest.
func (m *Monkey) rested() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); m.rest.Before(now) {
		return now
	}
	return m.rest
}

// next is when the next one is taken out, if it may be from a time on.
func (m *Monkey) next(ready time.Time, chance *dice) time.Time {
	d := min(float64(m.cfg.Every)*chance.exponential(), float64(forever/2))
	return m.cfg.Window.after(ready, time.Duration(d))
}

// act takes one out and puts it back; then there is a rest. The dice are thrown even if there is nobody, so that what follows is the same.
func (m *Monkey) act(ctx context.Context, chance *dice) {
	defer m.hold()
	pick := chance.next()
	names := slices.Sorted(slices.Values(m.cfg.Members()))
	switch {
	case ctx.Err() != nil:
		return
	case len(names) <= m.cfg.Keep, !m.cfg.Window.has(time.Now()): // Members took its time, or the machine slept
		m.note(func(s *MonkeySnapshot) { s.Skipped++ })
		return
	}
	name := names[pick%uint64(len(names))]
	m.note(func(s *MonkeySnapshot) { s.Out, s.Since, s.Taken = name, time.Now(), s.Taken+1 })
	m.scope.Log(ctx, slog.LevelWarn, "taken out on purpose", slog.String("member", name), slog.Duration("for", m.cfg.OutFor))
	restore := m.cfg.TakeOut(name)
	sleepUntil(ctx, time.Now().Add(m.cfg.OutFor))
	if restore != nil {
		restore()
	}
	m.note(func(s *MonkeySnapshot) { s.Out = "" })
	m.scope.Log(ctx, slog.LevelInfo, "put back", slog.String("member", name))
}

// hold begins a rest.
func (m *Monkey) hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = time.Now().Add(m.cfg.Rest)
}

func (m *Monkey) note(change func(*MonkeySnapshot)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.seen)
}

// sleepUntil reports whether it got there.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
