package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// A refusal says when to come back: a second at least, an hour twice over at most, and not to all the same.
func TestRefuse(t *testing.T) {
	for _, row := range []struct {
		after       time.Duration
		least, most int
	}{
		{-time.Hour, 1, 2}, {0, 1, 2}, {time.Millisecond, 1, 2}, {1500 * time.Millisecond, 2, 4}, {10 * time.Second, 10, 20}, {1 << 62, 3600, 7200},
	} {
		seen := map[int]bool{}
		for range 200 {
			w := httptest.NewRecorder()
			httpx.Refuse(t.Context(), w, http.StatusServiceUnavailable, row.after)
			n, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if err != nil || n < row.least || n > row.most || w.Code != http.StatusServiceUnavailable || w.Header().Get("Cache-Control") != "no-store" {
				t.Fatalf("%v: %d, %v", row.after, w.Code, w.Header())
			}
			seen[n] = true
		}
		if len(seen) < 2 {
			t.Errorf("%v: always %v", row.after, seen)
		}
	}
}

// A body that is encoded on its way is left out: plain text would not be what the header says.
func TestRefuseEncoded(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Length", "7")
	httpx.Refuse(t.Context(), w, http.StatusTooManyRequests, 0)
	if w.Code != http.StatusTooManyRequests || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

// Who watches hears of a refusal, and so does who watches outside; nobody else does.
func TestWatchRefusal(t *testing.T) {
	var outer, inner, beside httpx.Refusal
	ctx := httpx.WatchRefusal(t.Context(), &outer)
	httpx.WatchRefusal(ctx, &beside)
	httpx.Refuse(httpx.WatchRefusal(ctx, &inner), httptest.NewRecorder(), http.StatusServiceUnavailable, 0)
	if !outer.Seen() || !inner.Seen() || beside.Seen() {
		t.Errorf("outer %v, inner %v, beside %v", outer.Seen(), inner.Seen(), beside.Seen())
	}
}
