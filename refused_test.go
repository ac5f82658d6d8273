package holdfast_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// A server's refusal that is handed out last speaks for the whole only if nothing before it was worked on.
func TestLastRefusal(t *testing.T) {
	for _, row := range []struct {
		name  string
		works int64 // which of the answers is no refusal but a failure
		mark  string
	}{
		{"worked before", 1, ""},
		{"worked after, and the first is handed out", 2, ""},
		{"refused", 0, "yes"},
	} {
		var n atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) == row.works {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			w.Header().Set("Holdfast-Refused", "yes")
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		at, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		for kind, p := range map[string]holdfast.Runner{
			"retry":    retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: -1, MaxRetryAfter: -1, RetryIf: func(error) bool { return true }}),
			"failover": holdfast.OneOf(failover.MustNew(failover.Config[*url.URL]{Targets: []failover.Target[*url.URL]{{Name: "a", Value: at}, {Name: "b", Value: at}}})),
			"hedge":    hedge.MustNew(hedge.Config{}),
		} {
			n.Store(0)
			client := &http.Client{Transport: holdfast.MustStack(p).Transport(server.Client().Transport)}
			resp, err := client.Get(server.URL)
			if err != nil {
				t.Fatal(kind, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			got := resp.Header.Get("Holdfast-Refused")
			if n.Load() < 2 || got != row.mark {
				t.Errorf("%s, %s: %d requests, status %d, marked %q, want %q", kind, row.name, n.Load(), resp.StatusCode, got, row.mark)
			}
		}
		server.Close()
	}
}
