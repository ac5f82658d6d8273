package contract_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/internal/contract"
)

// handlerDoor is a server's door: fn stands behind it as a handler. What its caller would see of the server is what it
// returns: fn's own result if it ran, else an [answer]. The rows of real connections are about clients; what a Handler
// keeps of a server's is in the tests of the package, over loopback.
//
// fail tells of an error of fn's as handlers do.
func handlerDoor(name string, form handlerForm, fail func(http.ResponseWriter)) contract.Door {
	ended := contract.Difference{Why: "a server has no error to return: it answers, if there is somebody to be answered", Instead: handlerEnds}
	return contract.Door{
		Name: name, Allocates: true, AtConstruction: true,
		Call: func(ctx context.Context, fn contract.Func) (int, error) {
			h := &handler{fn: fn, fail: fail}
			return h.serve(ctx, form)
		},
		NilFunc: func(context.Context) error { form(nil); return nil },
		Differs: map[contract.Row]contract.Difference{
			contract.ContextDone: ended,
			contract.EndsDuring: {
				Why:     "the client of a server that has gone takes no success, whatever the handler has written; it is ignored",
				Instead: handlerOutlasts,
			},
			contract.EndsQueued:  {Why: ended.Why, Instead: handlerEndsQueued},
			contract.UnmetQueued: {Why: ended.Why, Instead: handlerUnmet},
			contract.RefusedBelow: {
				Why:     "what is refused below a server has been answered there, and is no failure; only an adaptive one sees that it is no success",
				Instead: handlerRefusedBelow,
			},
			contract.HTTPTimeLimit: {
				Why:     "a bulkhead sets no time limit; the context is the request's own, or that with a note of a Handler inside",
				Instead: noLimit,
			},
		},
	}
}

// handlerForm puts policies around a handler.
type handlerForm = func(next http.Handler) http.Handler

// bulkheadHandler is the form of one.
func bulkheadHandler(b *bulkhead.Bulkhead) handlerForm {
	return func(next http.Handler) http.Handler { return bulkhead.Handler(b, next) }
}

// abort is how a handler fails whose status has been sent.
func abort(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// answer500 is how it fails otherwise. Only an adaptive bulkhead looks at the status.
func answer500(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }

// handler is one request, and what becomes of it.
type handler struct {
	fn      contract.Func
	fail    func(http.ResponseWriter)
	v       int
	err     error
	ran     bool
	failing bool
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.ran = true
	h.v, h.err = h.fn(r.Context())
	if below, ok := h.err.(*answer); ok {
		w.WriteHeader(below.status)
		return
	}
	if h.err != nil && !errors.Is(r.Context().Err(), context.Canceled) { // else there is nobody to be told
		h.failing = true
		h.fail(w)
	}
}

func (h *handler) serve(ctx context.Context, form handlerForm) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return 0, err
	}
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if !h.failing {
				return // a panic of fn's goes on
			}
			if value := recover(); value != nil && value != http.ErrAbortHandler {
				panic(value)
			}
		}()
		form(h).ServeHTTP(w, r)
	}()
	switch {
	case h.ran:
		return h.v, h.err
	case len(w.Header()) == 0 && w.Body.Len() == 0:
		return 0, errSilence
	default:
		return 0, &answer{w.Code, w.Header()}
	}
}

var errSilence = errors.New("nothing was written")

// answer is the response to a request that was not let through.
type answer struct {
	status int
	header http.Header
}

func (a *answer) Error() string        { return "answered with " + strconv.Itoa(a.status) }
func (a *answer) Refused() bool        { return true }
func (a *answer) Is(target error) bool { return target == bulkhead.ErrFull }

// comeBack checks that the answer says when to come again.
func comeBack(t *testing.T, err error, status int) {
	t.Helper()
	var a *answer
	if !errors.As(err, &a) || a.status != status {
		t.Errorf("%v, want status %d", err, status)
		return
	}
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After: %q, want a second or more", a.header.Get("Retry-After"))
	}
}

// handlerEnds: who has gone is not answered; who waits while the time is up is told so. fn is not called.
func handlerEnds(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Call(ctx, never(t)); err != errSilence {
		t.Errorf("cancelled: %v, want that nothing is written", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err := s.Call(ctx, never(t))
	comeBack(t, err, http.StatusServiceUnavailable)
	s.WantBooks(contract.Books{Ignored: 2})
	s.Settled()
}

// never is an fn that is not to be called.
func never(t *testing.T) contract.Func {
	return func(context.Context) (int, error) {
		t.Error("fn was called")
		return 7, nil
	}
}

// handlerOutlasts: what a handler does when its client has gone is nobody's success or failure; past a deadline of the
// server's own it is what it is.
func handlerOutlasts(t *testing.T, c *contract.Cell) {
	synctest.Test(t, func(t *testing.T) {
		s := c.Fresh(t, contract.Setup{})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Call(ctx, func(context.Context) (int, error) { cancel(); return 7, nil }); err != nil {
			t.Error(err)
		}
		s.WantBooks(contract.Books{Ignored: 1})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Call(ctx, func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 7, nil }); err != nil {
			t.Error(err)
		}
		s.WantBooks(contract.Books{Ignored: 1, Successes: 1})
		s.Settled()
	})
}

// noLimit: fn's context has the deadline of the caller's, and no other.
func noLimit(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{AttemptTimeout: time.Second})
	for _, limit := range []time.Duration{0, time.Hour} {
		ctx := t.Context()
		if limit > 0 {
			bounded, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			ctx = bounded
		}
		if _, err := s.Call(ctx, func(got context.Context) (int, error) {
			have, bounded := got.Deadline()
			if want, ok := ctx.Deadline(); bounded != ok || have != want {
				t.Errorf("the deadline is %v, want the caller's, %v", have, want)
			}
			return 7, nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// handlerEndsQueued: the row's, but for what is answered.
func handlerEndsQueued(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		empty, start := s.Fill(), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		if _, err := s.Call(ctx, never(t)); err != errSilence {
			t.Errorf("cancelled: %v, want that nothing is written", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := s.Call(contract.Unforeseen{Context: ctx}, never(t))
		comeBack(t, err, http.StatusServiceUnavailable)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("they returned after %v, want 10s each: when the context ended", took)
		}
		if b := s.Layers[0].Books(); b.Ignored != 2 || b.Refused != 0 {
			t.Errorf("books are %+v, want two ignored", b)
		}
		empty()
		s.Settled()
		s.Passes()
		s.Settled()
	})
}

// handlerUnmet: the row's, but for what is answered.
func handlerUnmet(t *testing.T, c *contract.Cell) {
	eachQueue(t, c, func(t *testing.T, s *contract.Subject) {
		if _, err := s.Call(t.Context(), func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil }); err != nil {
			t.Fatal(err)
		}
		empty, start := s.Fill(), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := s.Call(ctx, never(t))
		comeBack(t, err, http.StatusServiceUnavailable)
		if took := time.Since(start); took != 0 {
			t.Errorf("it was answered after %v, want at once", took)
		}
		if b := s.Layers[0].Books(); b.Refused != 1 {
			t.Errorf("books are %+v, want one refused", b)
		}
		empty()
		s.Settled()
	})
}

// handlerRefusedBelow: a Handler inside, of a share of the work, has no place.
func handlerRefusedBelow(t *testing.T, c *contract.Cell) {
	s := c.Fresh(t, contract.Setup{})
	share := bulkhead.MustNew(bulkhead.Config{Name: "share", Limit: 1})
	defer fill(t, share)()
	_, err := s.Call(t.Context(), func(ctx context.Context) (int, error) {
		h := &handler{fn: never(t), fail: abort}
		return h.serve(ctx, bulkheadHandler(share))
	})
	comeBack(t, err, http.StatusServiceUnavailable)
	if b := s.Layers[0].Books(); b.Successes+b.Ignored != 1 || b.Failures+b.Refused != 0 {
		t.Errorf("books are %+v, want no failure, and nothing refused", b)
	}
	s.Settled()
	s.Passes()
}

// eachQueue runs a check for each thing that calls wait for, in a bubble.
func eachQueue(t *testing.T, c *contract.Cell, check func(*testing.T, *contract.Subject)) {
	t.Helper()
	for _, q := range c.Policy.Queues {
		t.Run(q.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { check(t, c.Subject(t, q.New(t, contract.Setup{Wait: time.Hour}))) })
		})
	}
}
