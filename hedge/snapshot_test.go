package hedge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

func TestSnapshotJSON(t *testing.T) {
	full := hedge.Snapshot{
		Name: "search", At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Calls: 100, Successes: 90, Failures: 6, Ignored: 4, Hedges: 5, Wins: 3, Denied: map[string]uint64{"load": 2},
		Delay: 20 * ms, P50: 10 * ms, P95: 1500 * time.Microsecond, P99: time.Minute,
		Hosts: []hedge.HostSnapshot{
			{Host: "a", Method: "GET", Delay: ms, P50: 1, P95: 2, P99: 3},
			{Host: "b:8443", Method: "HEAD", Delay: time.Second},
		},
	}
	const text = `{"name":"search","at":"2026-01-02T03:04:05.000000006Z","calls":100,"successes":90,"failures":6,"ignored":4,` +
		`"hedges":5,"wins":3,"denied":{"load":2},"delay":"20ms","p50":"10ms","p95":"1.5ms","p99":"1m0s",` +
		`"hosts":[{"host":"a","method":"GET","delay":"1ms","p50":"1ns","p95":"2ns","p99":"3ns"},` +
		`{"host":"b:8443","method":"HEAD","delay":"1s"}]}`
	if data, err := json.Marshal(full); err != nil || string(data) != text {
		t.Errorf("%s, %v, want\n%s", data, err, text)
	}
	for _, s := range []hedge.Snapshot{full, {}, hedge.MustNew(hedge.Config{}).Snapshot()} {
		data, err := json.Marshal(s)
		var again hedge.Snapshot
		if err != nil || json.Unmarshal(data, &again) != nil {
			t.Fatalf("%s, %v", data, err)
		}
		if !s.At.Equal(again.At) {
			t.Errorf("at %v, was %v", again.At, s.At)
		}
		if again.At = s.At; !reflect.DeepEqual(s, again) { // a time that was read has no monotonic clock
			t.Errorf("%+v became %+v by way of %s", s, again, data)
		}
	}
	var s hedge.Snapshot
	for _, text := range []string{`{"delay": 20}`, `{"hosts": [{"p50": "soon"}]}`, `{"calls": -1}`, `{"wons": 1}`} {
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

// What Transports have learned is there for each host and method, sorted; it goes when they are not asked any more.
func TestSnapshotOfHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := map[string]time.Duration{"HEAD b": 20 * ms, "GET b": 50 * ms, "GET a": 5 * ms}
		p := hedge.MustNew(hedge.Config{MaxExtraLoad: -1})
		client := &http.Client{Transport: hedge.Transport(p, roundTripper(func(r *http.Request) (*http.Response, error) {
			time.Sleep(took[r.Method+" "+r.URL.Host])
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		}))}
		ask := func(n int, method, host string) {
			for range n {
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		}
		if s := p.Snapshot(); s.Hosts != nil {
			t.Errorf("before: %+v", s.Hosts)
		}
		ask(100, "HEAD", "b")
		ask(100, "GET", "b")
		ask(100, "GET", "a")
		ask(1, "GET", "c:8080") // of which that is not enough
		s := p.Snapshot()
		want := []struct {
			host, method string
			took         time.Duration
		}{{"a", "GET", 5 * ms}, {"b", "GET", 50 * ms}, {"b", "HEAD", 20 * ms}, {"c:8080", "GET", 0}}
		if len(s.Hosts) != len(want) {
			t.Fatalf("%+v", s.Hosts)
		}
		for i, w := range want {
			got := s.Hosts[i]
			if got.Host != w.host || got.Method != w.method || !near(got.P50, w.took) || !near(got.P95, w.took) || !near(got.P99, w.took) {
				t.Errorf("%+v, want %+v", got, w)
			}
			delay := w.took
			if delay == 0 {
				delay = 100 * ms
			}
			if !near(got.Delay, delay) {
				t.Errorf("%s %s: delay %v, want %v", w.method, w.host, got.Delay, delay)
			}
		}
		if s.Delay != 100*ms || s.P50 != 0 || s.Calls != 301 {
			t.Errorf("the function doors have learned of it: %+v", s)
		}
		time.Sleep(11 * time.Minute)
		ask(1, "GET", "a")
		if s := p.Snapshot(); len(s.Hosts) != 1 || s.Hosts[0].Host != "a" {
			t.Errorf("later: %+v", s.Hosts)
		}
		fixed := hedge.MustNew(free(ms, 1))
		client.Transport = hedge.Transport(fixed, client.Transport)
		ask(3, "GET", "a")
		if s := fixed.Snapshot(); len(s.Hosts) != 1 || s.Hosts[0].Delay != ms || s.Calls != 3 {
			t.Errorf("with a fixed delay: %+v", s)
		}
		time.Sleep(time.Second)
	})
}

func TestSnapshotOfNil(t *testing.T) {
	var none *hedge.Policy
	if s := none.Snapshot(); !reflect.DeepEqual(s, hedge.Snapshot{}) {
		t.Errorf("%+v", s)
	}
}

// TestSnapshotWhileCallsRun: no number goes down or beyond what there was, and in the end they add up. With -race.
func TestSnapshotWhileCallsRun(t *testing.T) {
	p := hedge.MustNew(hedge.Config{Delay: -1, MaxExtraLoad: -1})
	const goroutines, each = 16, 300
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(context.Background())
				_ = p.Run(ctx, func(context.Context) error {
					switch i % 3 {
					case 0:
						return errBoom
					case 1:
						cancel()
					}
					return nil
				})
				cancel()
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	last := hedge.Snapshot{}
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
		}
		s := p.Snapshot()
		if s.Calls > goroutines*each || s.Calls < last.Calls || s.Hedges > goroutines*each || s.Hedges < last.Hedges || s.Wins < last.Wins {
			t.Fatalf("%+v after %+v", s, last)
		}
		last = s
	}
	s := p.Snapshot()
	if s.Calls != goroutines*each || s.Successes+s.Failures+s.Ignored != s.Calls || s.Failures != s.Calls/3 {
		t.Errorf("%+v", s)
	}
	if s.HedgeShare() > 1 || s.WinShare() > 1 {
		t.Errorf("hedge share %v, win share %v", s.HedgeShare(), s.WinShare())
	}
}
