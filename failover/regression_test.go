package failover_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// A Pick whose OnChange or Resolve panicked, or ended the goroutine, was in no book.
func TestPickWithABadCallback(t *testing.T) {
	for name, bad := range map[string]func(){"panic": func() { panic("callback") }, "Goexit": runtime.Goexit} {
		for where, config := range map[string]func(bad func()) failover.Config[int]{
			"OnChange": func(bad func()) failover.Config[int] {
				return failover.Config[int]{
					Targets: []failover.Target[int]{{Name: "a"}, {Name: "b"}}, ConsecutiveFailures: 1,
					OnChange: func(e failover.Event) {
						if e.To == failover.Probing {
							bad()
						}
					},
				}
			},
			"Resolve": func(bad func()) failover.Config[int] {
				return failover.Config[int]{Resolve: func(context.Context) ([]failover.Target[int], error) {
					bad()
					return []failover.Target[int]{{Name: "a"}}, nil
				}}
			},
		} {
			t.Run(where+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					once := bad
					g := failover.MustNew(config(func() { f := once; once = func() {}; f() }))
					calls := uint64(1)
					if where == "OnChange" {
						l, err := g.Pick(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						l.Done(errDown)
						calls++
						time.Sleep(time.Minute)
					}
					over := make(chan struct{})
					go func() {
						defer close(over)
						defer func() { _ = recover() }()
						_, _ = g.Pick(t.Context())
						t.Error("it returned")
					}()
					<-over
					if s := g.Snapshot(); s.Calls != calls || s.Failures != calls {
						t.Errorf("%d calls, %d failures, want %d: %+v", s.Calls, s.Failures, calls, s)
					}
					l, err := g.Pick(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					l.Done(nil)
				})
			})
		}
	}
}
