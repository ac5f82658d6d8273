package bulkhead_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// A request that found no place is answered as one refusal among others that are served, for the breaker of a client.
func TestHandlerSaysThatItRefused(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	h := bulkhead.Handler(b, http.NotFoundHandler())
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w
	}
	if w := ask(); w.Code != 404 || w.Header().Get("Holdfast-Refused") != "" {
		t.Errorf("served: %d %v", w.Code, w.Header())
	}
	free := taken(t, b)
	defer free()
	if w := ask(); w.Code != 503 || w.Header().Get("Holdfast-Refused") != "yes" || w.Header().Get("Retry-After") == "" {
		t.Errorf("refused: %d %v", w.Code, w.Header())
	}
}
