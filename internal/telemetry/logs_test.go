package telemetry_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/internal/telemetry"
	"github.com/holdfast-go/holdfast/retry"
)

// logged is a slog handler that keeps one line a record, with the name of the trace's span if there is one: it sees
// the context.
type logged struct {
	lines *[]string
	least slog.Level
}

func newLogged(least slog.Level) logged { return logged{new([]string), least} }

func (l logged) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }
func (l logged) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l logged) WithGroup(string) slog.Handler                    { return l }

func (l logged) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() != slog.KindTime {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	if trace.SpanContextFromContext(ctx).IsValid() {
		b.WriteString(" traced")
	}
	*l.lines = append(*l.lines, b.String())
	return nil
}

func TestRetryLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged(slog.LevelDebug)
		p := retry.MustNew(retry.Config{Name: "payments", Backoff: retry.Constant(time.Second), Logger: slog.New(l)})
		_ = p.Run(t.Context(), results())
		wantLines(t, *l.lines)
		_ = p.Run(t.Context(), results(errBoom))
		wantLines(t, *l.lines, "DEBUG retrying policy=retry payments attempt=1 delay=1s error=boom")
		_ = p.Run(t.Context(), results(errBoom, errBoom, errBoom))
		wantLines(t, (*l.lines)[1:],
			"DEBUG retrying policy=retry payments attempt=1 delay=1s error=boom",
			"DEBUG retrying policy=retry payments attempt=2 delay=1s error=boom",
			"WARN retries exhausted policy=retry payments attempts=3 reason=attempts exhausted error=boom")
	})
}

// TestNotRetryableLogs: an error that is not worth a retry is the caller's to log, and a breaker that is open has said so
// once. A WARN for each call would be a flood of them.
func TestNotRetryableLogs(t *testing.T) {
	l := newLogged(slog.LevelDebug)
	p := retry.MustNew(retry.Config{Name: "payments", Logger: slog.New(l)})
	b := breaker.MustNew(breaker.Config{})
	b.Force(breaker.ForcedOpen)
	for range 3 {
		_ = p.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, results()) })
	}
	for _, line := range *l.lines {
		if strings.HasPrefix(line, "WARN") {
			t.Error(line)
		}
	}
}

func TestBreakerLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogged(slog.LevelDebug)
		b := breaker.MustNew(breaker.Config{Name: "users", ConsecutiveFailures: 1, OpenFor: time.Second, Logger: slog.New(l)})
		_ = b.Run(t.Context(), results())
		wantLines(t, *l.lines)
		_ = b.Run(t.Context(), results(errBoom))
		_ = b.Run(t.Context(), results())
		time.Sleep(time.Second)
		_ = b.Run(t.Context(), results())
		wantLines(t, *l.lines,
			"WARN breaker open policy=breaker users from=closed cause=boom",
			"INFO breaker half_open policy=breaker users from=open",
			"INFO breaker closed policy=breaker users from=half_open")
	})
}

// TestKeyedLogs: what is said of one breaker of many says of which.
func TestKeyedLogs(t *testing.T) {
	l := newLogged(slog.LevelDebug)
	k, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{Name: "hosts", ConsecutiveFailures: 1, Logger: slog.New(l)}})
	if err != nil {
		t.Fatal(err)
	}
	_ = k.Get("api.example").Run(t.Context(), results(errBoom))
	if len(*l.lines) != 1 || !strings.Contains((*l.lines)[0], "api.example") {
		t.Errorf("which host is it: %q", *l.lines)
	}
}

// TestLogsAreTraced: handlers that look for the trace in the context find it.
func TestLogsAreTraced(t *testing.T) {
	l, r := newLogged(slog.LevelDebug), record(t)
	p := r.retry(t, retry.Config{BaseDelay: -1, Logger: slog.New(l)})
	b := r.breaker(t, breaker.Config{ConsecutiveFailures: 2, Logger: slog.New(l)})
	_ = p.Run(t.Context(), func(ctx context.Context) error { return b.Run(ctx, results(errBoom)) })
	if len(*l.lines) < 3 {
		t.Errorf("only %q", *l.lines)
	}
	for _, line := range *l.lines {
		if !strings.HasSuffix(line, " traced") {
			t.Error(line)
		}
	}
}

// TestLogLevel: what is not enabled is not written, and without a logger nothing is.
func TestLogLevel(t *testing.T) {
	l := newLogged(slog.LevelWarn)
	s := telemetry.NewScope(telemetry.Options{Type: "retry", Logger: slog.New(l)})
	if s.Logs(t.Context(), slog.LevelInfo) || !s.Logs(t.Context(), slog.LevelWarn) {
		t.Error("Logs does not say what is enabled")
	}
	s.Log(t.Context(), slog.LevelInfo, "not this")
	s.Log(t.Context(), slog.LevelWarn, "this")
	wantLines(t, *l.lines, "WARN this policy=retry")
	silent := telemetry.NewScope(telemetry.Options{})
	if silent.Logs(t.Context(), slog.LevelError) {
		t.Error("a scope without a logger logs")
	}
	silent.Log(t.Context(), slog.LevelError, "nobody hears")
}
