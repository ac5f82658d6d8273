package breaker

import (
	"context"
	"log/slog"

	"github.com/holdfast-go/holdfast/internal/inorder"
)

// events are state changes on their way to OnStateChange and the log: queued under Breaker.mu, delivered outside of
// it, in order and one at a time.
type events struct{ inorder.Queue[Event] }

// deliver tells what is queued. ctx is for the log.
func (e *events) deliver(ctx context.Context, b *Breaker) {
	e.Deliver(&b.mu, func(next Event) {
		b.log(ctx, next)
		if b.set.Load().onStateChange != nil {
			b.set.Load().onStateChange(next)
		}
	})
}

func (b *Breaker) log(ctx context.Context, e Event) {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("from", e.From.String())}
	if e.Name != b.set.Load().scope.Name() { // one of a keyed set: say which
		attrs = append(attrs, slog.String("breaker", e.Name))
	}
	if e.To == Open || e.To == ForcedOpen {
		level = slog.LevelWarn
	}
	if e.Shadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	if e.To == Open {
		attrs = append(attrs, slog.Time("until", e.Until), slog.Any("cause", e.Cause))
	}
	b.set.Load().scope.Log(ctx, level, "breaker "+e.To.String(), attrs...)
}
