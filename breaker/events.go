package breaker

import (
	"context"
	"log/slog"
)

// events are state changes on their way to OnStateChange and the log: queued under Breaker.mu, delivered outside of
// it, in order and one at a time. Whoever finds somebody delivering leaves its own to them; so does a callback that
// changes the state again.
type events struct {
	queue      []Event
	delivering bool
}

// deliver tells what is queued. ctx is for the log.
func (e *events) deliver(ctx context.Context, b *Breaker) {
	b.mu.Lock()
	if e.delivering || len(e.queue) == 0 {
		b.mu.Unlock()
		return
	}
	e.delivering = true
	b.mu.Unlock()
	over := false
	defer func() {
		if over {
			return
		}
		// A callback has panicked or ended its goroutine. The others are told all the same.
		b.mu.Lock()
		e.delivering = false
		b.mu.Unlock()
		e.deliver(ctx, b)
	}()
	for {
		b.mu.Lock()
		if len(e.queue) == 0 {
			e.queue = nil
			e.delivering = false // under the same lock as the look at the queue, or an event could be left behind
			over = true
			b.mu.Unlock()
			return
		}
		next := e.queue[0]
		e.queue = e.queue[1:]
		b.mu.Unlock()
		b.log(ctx, next)
		if b.set.onStateChange != nil {
			b.set.onStateChange(next)
		}
	}
}

func (b *Breaker) log(ctx context.Context, e Event) {
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("from", e.From.String())}
	if e.Name != b.set.scope.Name() { // one of a keyed set: say which
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
	b.set.scope.Log(ctx, level, "breaker "+e.To.String(), attrs...)
}
