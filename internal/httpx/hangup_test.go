package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/internal/httpx"
)

// A writer that cannot hang up, as many that wrap another one, does not say 200 of a request that nobody has served.
func TestHangUpWithoutAConnection(t *testing.T) {
	w := httptest.NewRecorder() // has neither Hijack nor deadlines
	httpx.HangUp(w)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d, want 503", w.Code)
	}
}
