package holdfast_test

import (
	"context"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/failover"
)

// probing has each group ask its targets every second, and counts.
func probing(probes *atomic.Int32) holdfast.Setup {
	return holdfast.Setup{Failover: func(_ string, c *failover.Config[*url.URL]) {
		c.ProbeInterval = time.Second
		c.Probe = func(context.Context, *url.URL) error { probes.Add(1); return nil }
	}}
}

const group = `[{"failover": {"targets": [{"name": "a", "url": "http://a"}]}}]`

// Who loads a stack can end what it does in the background. Calls go on. That of a Registry is not for who has it to end.
func TestStackClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int32
		all, err := probing(&probes).Load([]byte(`{"stacks": {"a": ` + group + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		outer := holdfast.MustStack(all["a"], (*holdfast.Stack)(nil))
		if n := probes.Load(); n < 4 || outer.Close() != nil {
			t.Fatalf("%d probes", n)
		}
		probes.Store(0)
		time.Sleep(time.Minute)
		if err := all["a"].Run(t.Context(), func(context.Context) error { return nil }); err != nil || probes.Load() != 0 {
			t.Errorf("%v, %d probes after Close", err, probes.Load())
		}
		var none *holdfast.Stack
		if err := none.Close(); err != nil {
			t.Error(err)
		}

		r, err := holdfast.NewRegistry(holdfast.RegistryConfig{Setup: probing(&probes)})
		if err != nil {
			t.Fatal(err)
		}
		applied(t, r, `{"stacks": {"a": `+group+`}}`)
		s := stackIn(t, r, "a")
		s.Close()
		holdfast.MustStack(s).Close()
		time.Sleep(5 * time.Second)
		if n := probes.Load(); n < 4 {
			t.Errorf("%d probes of a registry that is not closed", n)
		}
		applied(t, r, `{"stacks": {"a": []}}`) // the group is dropped
		probes.Store(0)
		time.Sleep(time.Minute)
		if n := probes.Load(); n != 0 {
			t.Errorf("%d probes of a group that was dropped", n)
		}
		applied(t, r, `{"stacks": {"a": `+group+`}}`)
		applied(t, r, `{"stacks": {}}`)
		r.Close() // also those of a stack that is gone; a goroutine that stays fails the bubble
	})
}
