package holdfast_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// What a stack has tried to the end below a Handler is marked, and so is not tried again by the process that asked. What failed
// without a retry is not.
func TestStackHandlerTellsOfRetries(t *testing.T) {
	server := holdfast.MustStack(bulkhead.MustNew(bulkhead.Config{Limit: 1}))
	for path, want := range map[string]string{"/retried": "no", "/once": ""} {
		below := holdfast.MustStack(retry.MustNew(retry.Config{BaseDelay: -1, RetryIf: func(error) bool { return path == "/retried" }}))
		h := server.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if below.Run(r.Context(), func(context.Context) error { return errDown }) != nil {
				w.WriteHeader(http.StatusBadGateway)
			}
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Holdfast-Retry"); w.Code != http.StatusBadGateway || got != want {
			t.Errorf("%s: %d, Holdfast-Retry %q, want %q", path, w.Code, got, want)
		}
	}
}
