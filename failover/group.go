package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
	"github.com/holdfast-go/holdfast/internal/telemetry"
)

// Group is targets of one kind, of which each call gets one that is well; if it fails there, another. It is safe for
// concurrent use. A nil Group passes calls through with the zero T.
type Group[T any] struct {
	core
}

// New returns a group, or an error that names every field of c that cannot work.
func New[T any](c Config[T]) (*Group[T], error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := &Group[T]{}
	g.title, g.label, g.start = c.Name, telemetry.Label("failover", c.Name), time.Now()
	g.states = make(map[string]*state, len(c.Targets))
	g.scope = telemetry.NewScope(telemetry.Options{
		Type: "failover", Name: c.Name,
		TracerProvider: c.TracerProvider, MeterProvider: c.MeterProvider, Logger: c.Logger,
	})
	g.ready.Store(len(c.Targets) > 0)
	g.table.Store(&table{set: g.settingsOf(c)})
	g.replace(g.targetsOf(c.Targets))
	telemetry.Attach(g.scope, (*source)(&g.core))
	return g, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[T any](c Config[T]) *Group[T] {
	g, err := New(c)
	if err != nil {
		panic(err)
	}
	return g
}

// Config returns what the group goes by at present, with the defaults in place of zeros; its Targets are the present ones, by
// their levels, whoever has set them. That of a nil Group is the zero Config.
func (g *Group[T]) Config() Config[T] {
	if g == nil {
		return Config[T]{}
	}
	t := g.table.Load()
	c := *t.set.given.(*Config[T])
	c.Targets = make([]Target[T], len(t.all))
	for i, x := range t.all {
		c.Targets[i] = Target[T]{Name: x.name, Value: valueOf[T](x), Priority: x.priority, Weight: x.weight}
	}
	return c
}

// Do calls fn with a target of g; if that fails, and another target may do better, with that, at once. It returns the first
// success; else the last value, and an [*Error] that has the error of each target that was tried. Attempts follow one
// another: fn never runs twice at once. Most callers use Do.
//
// fn must be safe to repeat where FailoverIf says so. The context of an attempt that succeeded is not cancelled when Do
// returns, so a body or rows may be read under it.
func Do[T, R any](ctx context.Context, g *Group[T], fn func(ctx context.Context, target T) (R, error)) (R, error) {
	if g == nil && fn != nil {
		var none T
		return fn(ctx, none)
	}
	var c call
	if err := c.begin(ctx, g.inner(), fn == nil); err != nil {
		var none R
		return none, err
	}
	return run(&c, fn, nil)
}

// Wrap returns fn under the group: build a stack once, call it like the function it guards. It panics if fn is nil.
func Wrap[T, In, Out any](g *Group[T], fn func(ctx context.Context, target T, in In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil {
		panic("failover.Wrap: " + errNilFunc.Error())
	}
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, g, func(ctx context.Context, target T) (Out, error) { return fn(ctx, target, in) })
	}
}

// Run is Do for work that has only an error.
func (g *Group[T]) Run(ctx context.Context, fn func(ctx context.Context, target T) error) error {
	if fn == nil {
		return fmt.Errorf("%s: %w", g.inner().name(), errNilFunc)
	}
	_, err := Do(ctx, g, func(ctx context.Context, target T) (struct{}, error) { return struct{}{}, fn(ctx, target) })
	return err
}

var errNilFunc = errors.New("fn is nil")

// Update replaces the targets. Those whose names were there before keep their state; calls under way on others go on.
// It returns an error that names everything that cannot work, and changes nothing then.
func (g *Group[T]) Update(ts []Target[T]) error {
	if g == nil {
		return nil
	}
	f := conf.Check("failover.Update")
	f.Want(len(ts) > 0, "Targets", 0, "at least one target")
	checkTargets(f, "Targets", ts)
	if err := f.Err(); err != nil {
		return err
	}
	g.replace(g.targetsOf(ts))
	g.ready.Store(true)
	return nil
}

// targetsOf makes targets, and who makes their states and probes.
func (*Group[T]) targetsOf(ts []Target[T]) []candidate {
	all := make([]candidate, len(ts))
	for i, t := range ts {
		all[i] = candidate{name: t.Name, make: func(s *state) *target { return newTarget(t, s) }}
	}
	return all
}

// Close ends probes and lookups, and waits for them: so not from within a Probe, a Resolve or OnChange. Calls go on as
// before, without; single calls find out then whether a target is back.
func (g *Group[T]) Close() error {
	if g != nil {
		g.close()
	}
	return nil
}

func (g *Group[T]) inner() *core {
	if g == nil {
		return nil
	}
	return &g.core
}

// valueOf is the value of a target.
func valueOf[T any](t *target) T { return *t.value.(*T) }
