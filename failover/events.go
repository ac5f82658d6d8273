package failover

import (
	"context"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/inorder"
)

// Event is a change of a target's State.
type Event struct {
	Name     string // of the group
	Target   string
	From, To State
	Why      string    // in words
	At       time.Time // when
	Until    time.Time // of an ejection: its end
}

// events are on their way to OnChange and the log: queued under core.mu, delivered outside of it, in order and one at a
// time.
type events struct{ inorder.Queue[Event] }

func (e *events) deliver(g *core) {
	e.Deliver(&g.mu, func(next Event) {
		if hear := g.set().onChange; hear != nil {
			defer hear(next) // it hears of it even if the log's handler panics
		}
		g.log(next)
	})
}

func (g *core) log(e Event) {
	level := slog.LevelInfo
	if e.To == Ejected {
		level = slog.LevelWarn
	}
	if ctx := context.Background(); g.scope.Logs(ctx, level) {
		attrs := []slog.Attr{slog.String("target", e.Target), slog.String("from", e.From.String())}
		if e.Why != "" {
			attrs = append(attrs, slog.String("why", e.Why))
		}
		if e.To == Ejected {
			attrs = append(attrs, slog.Time("until", e.Until))
		}
		g.scope.Log(ctx, level, "target "+e.To.String(), attrs...)
	}
}

// logAside writes to the log where no caller is whom a panic of its handler could reach: it would end the process.
func (g *core) logAside(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	defer func() { _ = recover() }()
	g.scope.Log(ctx, level, message, attrs...)
}
