package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Injector makes calls go wrong, while it is switched on. It is safe for concurrent use. A nil Injector passes calls through,
// and cannot be switched on.
type Injector struct {
	cfg   Config
	scope *telemetry.Scope

	on atomic.Pointer[run] // nil: off. It is all that a call looks at then

	mu   sync.Mutex
	last *run // the one that is on, or was last; nil: there was none
}

// New returns an Injector that is off, or an error that names every field of c that cannot work.
func New(c Config) (*Injector, error) {
	f := conf.Check("chaos.Config")
	c.check(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return &Injector{
		cfg:   c.withDefaults(),
		scope: telemetry.NewScope(telemetry.Options{Type: "chaos", Name: c.Name, Logger: c.Logger}),
	}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(c Config) *Injector {
	in, err := New(c)
	if err != nil {
		panic(err)
	}
	return in
}

// Config returns what the Injector goes by: the Config that it was made of, with the defaults in place of zeros, and without
// Secret and Logger. That of a nil Injector is the zero Config.
func (in *Injector) Config() Config {
	if in == nil {
		return Config{}
	}
	c := in.cfg.withDefaults()
	c.Secret, c.Logger = "", nil
	return c
}

// Enable switches it on. Schedules begin now, calls and connections are counted from 0, and so the same calls get the same
// faults as the last time. It is logged (WARN), lest somebody wonders. If it is on already nothing changes.
func (in *Injector) Enable() {
	if in == nil {
		return
	}
	if in.begin() {
		in.scope.Log(context.Background(), slog.LevelWarn, "chaos is on: faults are made on purpose",
			slog.Uint64("seed", in.cfg.Seed), slog.Any("faults", in.names()))
	}
}

func (in *Injector) begin() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.on.Load() != nil {
		return false
	}
	in.last = newRun(len(in.cfg.Faults))
	in.on.Store(in.last)
	return true
}

// Disable switches it off, at once: what is held in delays and black holes goes on, bodies and connections are whole again from
// where they are.
func (in *Injector) Disable() {
	if in == nil {
		return
	}
	if r := in.on.Swap(nil); r != nil {
		r.end()
		in.scope.Log(context.Background(), slog.LevelInfo, "chaos is off",
			slog.Uint64("calls", r.calls.Load()), slog.Uint64("struck", r.total()))
	}
}

// Enabled reports whether it is on.
func (in *Injector) Enabled() bool { return in != nil && in.on.Load() != nil }

// String is its name, and whether it is on.
func (in *Injector) String() string {
	if in.Enabled() {
		return in.label() + " (on)"
	}
	return in.label() + " (off)"
}

// GoString is for %#v, which would show its Config, Secret and all.
func (in *Injector) GoString() string { return in.String() }

// running is the present run; nil while it is off.
func (in *Injector) running() *run {
	if in == nil {
		return nil
	}
	return in.on.Load()
}

func (in *Injector) label() string {
	if in == nil {
		return "chaos"
	}
	return telemetry.Label("chaos", in.cfg.Name)
}

func (in *Injector) names() []string {
	names := make([]string, len(in.cfg.Faults))
	for i := range names {
		names[i] = in.cfg.Faults[i].Name
	}
	return names
}

// Do calls fn, unless a fault comes between. Most callers use Do.
func Do[T any](ctx context.Context, in *Injector, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		return v, fmt.Errorf("%s: %w", in.label(), errNilFunc)
	}
	r := in.running()
	if r == nil {
		return fn(ctx)
	}
	c := newCall(ctx, in, r, nil)
	if _, err = c.strike(before); err != nil {
		return v, err
	}
	v, err = fn(ctx)
	if _, lost := c.strike(after); lost != nil {
		err = lost
	}
	return v, err
}

// Wrap returns fn under the Injector: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[In, Out any](in *Injector, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("chaos.Wrap: " + errNilFunc.Error())
	}
	if in == nil {
		return fn
	}
	return func(ctx context.Context, arg In) (Out, error) {
		return Do(ctx, in, func(ctx context.Context) (Out, error) { return fn(ctx, arg) })
	}
}

// Run is Do for work that has only an error.
func (in *Injector) Run(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		return fmt.Errorf("%s: %w", in.label(), errNilFunc)
	}
	_, err := Do(ctx, in, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}
