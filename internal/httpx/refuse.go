package httpx

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Refuse answers a request that a server does not work on, with a Retry-After: at least a second, and up to twice as long, so
// that clients do not come back together.
func Refuse(w http.ResponseWriter, status int, after time.Duration) {
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(comeBack(after)))
	h.Set("Cache-Control", "no-store")
	if h.Get("Content-Encoding") != "" { // set outside, for a body that will not come, or one that is encoded on its way
		h.Del("Content-Length")
		w.WriteHeader(status)
		return
	}
	http.Error(w, http.StatusText(status), status) // the text of an error has names in it that are nobody's business
}

const longestComeBack = time.Hour

// comeBack is a time in whole seconds: at least one, and up to twice as long, at random.
func comeBack(after time.Duration) int {
	seconds := int((min(max(after, 0), longestComeBack) + time.Second - 1) / time.Second)
	seconds = max(seconds, 1)
	return seconds + rand.IntN(seconds+1)
}
