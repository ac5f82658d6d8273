package failover_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// lookups is a Resolve that takes its time.
type lookups struct {
	n     atomic.Int32
	takes time.Duration
	deaf  bool
	do    func(n int) ([]failover.Target[int], error)
}

func (l *lookups) resolve(ctx context.Context) ([]failover.Target[int], error) {
	n := int(l.n.Add(1))
	if l.deaf {
		time.Sleep(l.takes)
	} else {
		select {
		case <-time.After(l.takes):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return l.do(n)
}

func whichOf(ctx context.Context, g *failover.Group[int]) (int, error) {
	return failover.Do(ctx, g, func(_ context.Context, i int) (int, error) { return i, nil })
}

// The first call looks, the others wait for it; all get a target.
func TestFirstCallResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lookups{takes: time.Second, do: func(int) ([]failover.Target[int], error) { return targets(1), nil }}
		g := failover.MustNew(failover.Config[int]{Resolve: l.resolve})
		defer g.Close()
		if l.n.Load() != 0 {
			t.Error("New looks")
		}
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := whichOf(t.Context(), g); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := l.n.Load(); n != 1 || time.Since(began) != time.Second {
			t.Errorf("%d lookups, %v", n, time.Since(began))
		}
	})
}

// Who waits for a lookup that fails has its error; it is not made again for each of them in turn. The next call looks again.
func TestFirstLookupFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDNS := errors.New("no such host")
		l := lookups{takes: time.Second, do: func(n int) ([]failover.Target[int], error) {
			switch n {
			case 1:
				return nil, errDNS
			case 2:
				return nil, nil
			case 3:
				return []failover.Target[int]{{}, {Weight: -1}}, nil
			}
			return targets(1), nil
		}}
		g := failover.MustNew(failover.Config[int]{Name: "users", Resolve: l.resolve})
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, err := whichOf(t.Context(), g)
				var refused interface{ Refused() bool }
				if !errors.Is(err, errDNS) || !errors.As(err, &refused) || refused.Refused() {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := l.n.Load(); n != 1 || time.Since(began) != time.Second {
			t.Errorf("%d lookups, %v", n, time.Since(began))
		}
		if _, err := whichOf(t.Context(), g); err == nil || !strings.Contains(err.Error(), "Targets: 0: want at least one target") {
			t.Error(err)
		}
		_, err := whichOf(t.Context(), g)
		for _, want := range []string{`Targets[0].Name: "": want a name`, `Targets[1].Name: "": want a name`, "Targets[1].Weight: -1: want above zero"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if v, err := whichOf(t.Context(), g); v != 0 || err != nil {
			t.Error(v, err)
		}
		if s := g.Snapshot(); s.Refused != 102 || s.Successes != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Where the one who looks is cancelled, or panics, one of those who wait looks; and who waits may be cancelled too.
func TestFirstLookupIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lookups{takes: time.Second, do: func(n int) ([]failover.Target[int], error) {
			if n == 2 {
				panic("lookup 2")
			}
			return targets(1), nil
		}}
		g := failover.MustNew(failover.Config[int]{Resolve: l.resolve})
		why := errors.New("gone home")
		cancelled := func(after time.Duration) func() {
			return func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(after, func() { cancel(why) })
				if _, err := whichOf(ctx, g); !errors.Is(err, why) {
					t.Errorf("%v after %v", err, after)
				}
			}
		}
		var all sync.WaitGroup
		all.Go(cancelled(500 * time.Millisecond)) // it looks
		synctest.Wait()
		all.Go(cancelled(100 * time.Millisecond)) // it waits
		var panics, wins atomic.Int32
		for range 10 {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				if _, err := whichOf(t.Context(), g); err == nil {
					wins.Add(1)
				}
			})
		}
		all.Wait()
		if panics.Load() != 1 || wins.Load() != 9 || l.n.Load() != 3 {
			t.Errorf("%d panics, %d calls went well, %d lookups", panics.Load(), wins.Load(), l.n.Load())
		}
	})
}

// Later lookups are made beside the calls, one at a time; what goes wrong there changes nothing, and is logged.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		l := lookups{takes: time.Second, do: func(n int) ([]failover.Target[int], error) {
			switch n {
			case 1, 5:
				return targets(n), nil
			case 2:
				return nil, errors.New("no such host")
			case 3:
				panic("lookup 3")
			default:
				return nil, nil
			}
		}}
		g := failover.MustNew(failover.Config[int]{
			Resolve: l.resolve, ResolveEvery: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for i := range 5 {
			began := time.Now()
			for range 3 {
				if _, err := whichOf(t.Context(), g); err != nil {
					t.Error(err)
				}
			}
			if took := time.Since(began); i > 0 && took > 0 {
				t.Errorf("calls wait %v for lookup %d", took, i+1)
			}
			time.Sleep(5 * time.Second)
			if n := len(g.Snapshot().Targets); n != []int{1, 1, 1, 1, 5}[i] {
				t.Errorf("%d targets after lookup %d", n, i+1)
			}
			time.Sleep(6 * time.Second)
		}
		for _, want := range []string{"no such host", "lookup 3", "Targets: 0"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("not logged: %s\n%s", want, log.String())
			}
		}
		if _, err := whichOf(t.Context(), g); err != nil { // a lookup begins
			t.Error(err)
		}
		synctest.Wait()
		g.Close()
		n := l.n.Load()
		time.Sleep(time.Minute)
		if _, err := whichOf(t.Context(), g); err != nil || l.n.Load() != n || n != 6 {
			t.Errorf("%v, %d lookups, %d after Close", err, n, l.n.Load())
		}
	})
}

// A lookup that does not come back is not joined by others.
func TestRefreshIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lookups{takes: time.Hour, deaf: true, do: func(int) ([]failover.Target[int], error) { return targets(2), nil }}
		g := failover.MustNew(failover.Config[int]{Targets: targets(1), Resolve: l.resolve, ResolveEvery: time.Second})
		for range 100 {
			if _, err := whichOf(t.Context(), g); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if n := l.n.Load(); n != 1 {
			t.Errorf("%d lookups at once", n)
		}
		time.Sleep(time.Hour)
		if n := len(g.Snapshot().Targets); n != 2 {
			t.Errorf("%d targets", n)
		}
		g.Close()
	})
}

// names is a DNS server.
type names struct {
	addresses []string
	records   []*net.SRV
	err       error
	asked     []string
}

func (n *names) LookupNetIP(_ context.Context, network, host string) (all []netip.Addr, _ error) {
	n.asked = append(n.asked, network+" "+host)
	for _, a := range n.addresses {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, n.err
}

func (n *names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	n.asked = append(n.asked, "_"+service+"._"+proto+"."+name)
	return "", n.records, n.err
}

var _ failover.Resolver = (*net.Resolver)(nil)

func TestDNS(t *testing.T) {
	n := &names{addresses: []string{"10.0.0.2", "2001:db8::1", "10.0.0.1", "::ffff:10.0.0.2"}}
	for _, row := range []struct {
		base string
		want []string // names and URLs
	}{
		{"http://users.example:8080/v1?a=b", []string{
			"10.0.0.1:8080 http://10.0.0.1:8080/v1?a=b", "10.0.0.2:8080 http://10.0.0.2:8080/v1?a=b",
			"[2001:db8::1]:8080 http://[2001:db8::1]:8080/v1?a=b",
		}},
		{"https://users.example", []string{"10.0.0.1 https://10.0.0.1", "10.0.0.2 https://10.0.0.2", "[2001:db8::1] https://[2001:db8::1]"}},
	} {
		base, err := url.Parse(row.base)
		if err != nil {
			t.Fatal(err)
		}
		resolve := failover.DNS(n, base)
		base.Host = "changed"
		ts, err := resolve(t.Context())
		if err != nil || len(ts) != len(row.want) {
			t.Fatalf("%v, %v", ts, err)
		}
		for i, target := range ts {
			if got := target.Name + " " + target.Value.String(); got != row.want[i] || target.Priority != 0 || target.Weight != 0 {
				t.Errorf("%s, %+v, want %s", got, target, row.want[i])
			}
		}
	}
	if n.asked[0] != "ip users.example" {
		t.Error(n.asked)
	}
	n.err = errDown
	if _, err := failover.DNS(n, &url.URL{Host: "a"})(t.Context()); !errors.Is(err, errDown) {
		t.Error(err)
	}
	for _, base := range []*url.URL{nil, {Path: "/a"}} {
		if _, err := failover.DNS(n, base)(t.Context()); err == nil {
			t.Errorf("%v is resolved", base)
		}
	}
	if ts, err := failover.DNS(nil, &url.URL{Scheme: "http", Host: "127.0.0.1:80"})(t.Context()); err != nil || len(ts) != 1 { // asks nobody
		t.Error(ts, err)
	}
}

func TestSRV(t *testing.T) {
	n := &names{records: []*net.SRV{
		{Target: "b.example.", Port: 8443, Priority: 20, Weight: 0},
		{Target: "a.example.", Port: 443, Priority: 10, Weight: 10},
		{Target: "c.example.", Port: 443, Priority: 10, Weight: 30},
		{Target: "z.example.", Port: 443, Priority: 10, Weight: 0},
		{Target: "d.example.", Port: 443, Priority: 20, Weight: 0},
		{Target: "a.example.", Port: 443, Priority: 30, Weight: 1}, // again
		{Target: ".", Priority: 40},
		{Target: "e.example.", Port: 443, Priority: 65535, Weight: 5},
	}}
	ts, err := failover.SRV(n, "users", "tcp", "example.com", "https")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []failover.Target[string]{
		{Name: "c.example:443", Value: "https://c.example:443", Weight: 30},
		{Name: "a.example:443", Value: "https://a.example:443", Weight: 10},
		{Name: "z.example:443", Value: "https://z.example:443", Weight: 0.01},
		{Name: "b.example:8443", Value: "https://b.example:8443", Priority: 1, Weight: 1},
		{Name: "d.example:443", Value: "https://d.example:443", Priority: 1, Weight: 1},
		{Name: "e.example:443", Value: "https://e.example:443", Priority: 2, Weight: 5},
	}
	if len(ts) != len(want) {
		t.Fatalf("%v", ts)
	}
	for i, got := range ts {
		if text := (failover.Target[string]{Name: got.Name, Value: got.Value.String(), Priority: got.Priority, Weight: got.Weight}); text != want[i] {
			t.Errorf("%+v, want %+v", text, want[i])
		}
	}
	if n.asked[0] != "_users._tcp.example.com" {
		t.Error(n.asked)
	}
	n.records, n.err = nil, errDown
	if _, err := failover.SRV(n, "users", "tcp", "example.com", "https")(t.Context()); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

// A group goes by what its names resolve to, and keeps what it knows of those that stay.
func TestGroupOfDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &names{addresses: []string{"10.0.0.1", "10.0.0.2"}}
		g := failover.MustNew(failover.Config[*url.URL]{Resolve: failover.DNS(n, &url.URL{Scheme: "http", Host: "users:80"})})
		defer g.Close()
		for range 5 {
			_ = g.Run(t.Context(), func(_ context.Context, u *url.URL) error {
				if u.Host == "10.0.0.1:80" {
					return errDown
				}
				return nil
			})
		}
		n.addresses = []string{"10.0.0.3", "10.0.0.1"}
		time.Sleep(31 * time.Second)
		_ = g.Run(t.Context(), func(context.Context, *url.URL) error { return nil }) // a trial, and a lookup
		synctest.Wait()
		s := g.Snapshot()
		if len(s.Targets) != 2 || s.Targets[0].Ejections != 1 || s.Targets[1].Name != "10.0.0.3:80" {
			t.Errorf("%+v", s.Targets)
		}
	})
}
