package retry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/retry"
)

// The pattern of a mux inside is there outside, and the form, whose files net/http removes when the request is over; also where the
// handler panicked.
func TestHandlerHandsUp(t *testing.T) {
	for _, panics := range []bool{false, true} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /users/{id}", func(_ http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil {
				t.Error(err)
			}
			if panics {
				panic(http.ErrAbortHandler)
			}
		})
		r := httptest.NewRequest(http.MethodPost, "/users/7", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		func() {
			defer func() {
				if p := recover(); (p == http.ErrAbortHandler) != panics {
					t.Error(p)
				}
			}()
			retry.Handler(mux).ServeHTTP(httptest.NewRecorder(), r)
		}()
		if r.Pattern != "POST /users/{id}" || r.MultipartForm == nil || r.MultipartForm.Value["a"][0] != "b" {
			t.Errorf("panics: %v; outside: %q, %v", panics, r.Pattern, r.MultipartForm)
		}
	}
}
