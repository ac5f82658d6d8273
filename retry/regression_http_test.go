package retry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// answers is a base that gives every request the same answer.
func answers(code int, header ...string) *counted {
	c := &counted{}
	c.answer = func(_ int, r *http.Request) (*http.Response, error) {
		resp := c.respond(code, r)
		for i := 0; i+1 < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
	return c
}

// fails is a base that never answers.
func fails(err error) *counted {
	return &counted{answer: func(int, *http.Request) (*http.Response, error) { return nil, err }}
}

// send sends a request without a body through a policy, and closes the response.
func send(c retry.Config, base http.RoundTripper, method string) (*http.Response, error) {
	r, _ := http.NewRequest(method, "http://host/", nil)
	resp, err := retry.Transport(retry.MustNew(c), base).RoundTrip(r)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// That the budget allows no retry is news to those above, also after a first attempt: it comes as an *Error, or as a mark
// on the response, and a retry above makes no request that the budget forbade.
func TestTransportKeepsTheBudgetsNo(t *testing.T) {
	c := quick
	c.Name, c.Budget = "inner", emptyBudget()
	base := fails(io.ErrUnexpectedEOF)
	_, err := send(quick, retry.Transport(retry.MustNew(c), base), "GET")
	var failed *retry.Error
	if !errors.As(err, &failed) || failed.Name != "inner" || failed.Reason != retry.ErrBudget || !errors.Is(err, io.ErrUnexpectedEOF) || base.n != 1 {
		t.Errorf("%v after %d requests, want 1", err, base.n)
	}
	base = answers(503)
	resp, err := send(quick, retry.Transport(retry.MustNew(c), base), "GET")
	if err != nil || resp.Header.Get("Holdfast-Retry") != "no" || base.n != 1 {
		t.Errorf("%v, %v after %d requests, want 1", resp, err, base.n)
	}
}

// A single attempt that nothing was to follow leaves no trace: the error is the base's own, the response unmarked.
func TestTransportSingleAttemptLeavesNoTrace(t *testing.T) {
	once := quick
	once.MaxAttempts = 1
	never := quick
	never.RetryIf = func(error) bool { return false }
	for _, test := range []struct {
		name, method string
		config       retry.Config
	}{{"one attempt", "GET", once}, {"RetryIf", "GET", never}, {"POST", "POST", quick}} {
		if _, err := send(test.config, fails(io.ErrUnexpectedEOF), test.method); err != io.ErrUnexpectedEOF {
			t.Errorf("%s: got %#v", test.name, err)
		}
		resp, err := send(test.config, answers(503), test.method)
		if err != nil || resp.Header.Get("Holdfast-Retry") != "" {
			t.Errorf("%s: %v, %v", test.name, resp, err)
		}
	}
}

// "Do not retry" is for what was tried to the end, not for what was tried once.
func TestHandlerMarksOnlyExhaustion(t *testing.T) {
	no := func(error) bool { return false }
	for _, test := range []struct {
		name   string
		config retry.Config
		marked bool
	}{
		{"not retryable", retry.Config{BaseDelay: -1, RetryIf: no}, false},
		{"one attempt", retry.Config{MaxAttempts: 1}, false},
		{"three attempts", quick, true},
		{"no budget", retry.Config{BaseDelay: -1, Budget: emptyBudget()}, true},
	} {
		p := retry.MustNew(test.config)
		for kind, below := range map[string]func(context.Context){
			"Run": func(ctx context.Context) { p.Run(ctx, func(context.Context) error { return errBoom }) },
			"Transport": func(ctx context.Context) {
				r, _ := http.NewRequestWithContext(ctx, "GET", "http://host/", nil)
				if resp, err := retry.Transport(p, answers(503)).RoundTrip(r); err == nil {
					resp.Body.Close()
				}
			},
		} {
			w := httptest.NewRecorder()
			retry.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				below(r.Context())
				w.WriteHeader(503)
			})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if got := w.Result().Header.Get("Holdfast-Retry") == "no"; got != test.marked {
				t.Errorf("%s, %s: marked %v, want %v", test.name, kind, got, test.marked)
			}
		}
	}
}

// A nil handler is found where it was made, not by the first request.
func TestHandlerNil(t *testing.T) {
	defer func() {
		if v := recover(); v != "retry.Handler: next is nil" {
			t.Errorf("got %v", v)
		}
	}()
	retry.Handler(nil)
}

// A server that stalls until http.Client.Timeout is a failure, as it is with every other deadline: the client closes the
// request's Cancel, and that is not the caller's change of mind.
func TestClientTimeoutIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // else the time may be up before an attempt has begun, and that is no failure
		stalls := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there)
			return here, nil
		}}
		p := retry.MustNew(retry.Config{})
		c := &http.Client{Transport: retry.Transport(p, stalls), Timeout: time.Second}
		for range 50 {
			if resp, err := c.Get("http://host/"); err == nil {
				resp.Body.Close()
				t.Fatal("it did not stall")
			}
		}
		if got := p.Snapshot(); got.Failures != 50 || got.Ignored != 0 || got.Attempts != 50 {
			t.Errorf("%d failures, %d ignored, %d attempts, want 50, 0 and 50", got.Failures, got.Ignored, got.Attempts)
		}
	})
}

// Of the two that http.Client.Timeout ends a request by, Cancel and the deadline, either may come first; without a deadline
// at hand Cancel is the caller's own.
func TestRequestCancelAndDeadline(t *testing.T) {
	for _, test := range []struct {
		left              time.Duration // until the deadline, when Cancel is closed
		failures, ignored uint64
	}{{10 * time.Millisecond, 1, 0}, {time.Hour, 0, 1}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithTimeout(t.Context(), test.left)
			defer end()
			cancel := make(chan struct{})
			p := retry.MustNew(quick)
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://host/", nil)
			//lint:ignore SA1019 http.Client.Timeout still uses it
			r.Cancel = cancel
			_, err := retry.Transport(p, &counted{answer: func(int, *http.Request) (*http.Response, error) {
				close(cancel)
				return nil, errBoom // net/http has a word of its own for it
			}}).RoundTrip(r)
			if s := p.Snapshot(); err != errBoom || s.Attempts != 1 || s.Failures != test.failures || s.Ignored != test.ignored {
				t.Errorf("%v left: %v: %+v", test.left, err, s)
			}
		})
	}
}

// RetryIf may count, or draw lots: it is asked once for each response that is an error, and not about a response that
// the server wants left alone, which no RetryIf overrules.
func TestRetryIfIsAskedOnce(t *testing.T) {
	for _, test := range []struct {
		code            int
		mark            string
		yes             bool
		requests, asked int
	}{
		{200, "", true, 1, 0},
		{404, "", true, 3, 3},
		{404, "", false, 1, 1},
		{503, "", true, 3, 3},
		{503, "", false, 1, 1},
		{404, "no", true, 1, 0},
		{503, "no", true, 1, 0},
	} {
		c, asked := quick, 0
		c.RetryIf = func(error) bool { asked++; return test.yes }
		base := answers(test.code, "Holdfast-Retry", test.mark)
		if _, err := send(c, base, "GET"); err != nil || base.n != test.requests || asked != test.asked {
			t.Errorf("%+v: %d requests, RetryIf asked %d times: %v", test, base.n, asked, err)
		}
	}
}

// A request that is cancelled by its Cancel, with a response in hand, leaves no attempt's context behind.
func TestRequestCancelLeavesNothing(t *testing.T) {
	for _, last := range []int{1, 2} {
		cancel := make(chan struct{})
		var attempt context.Context
		base := &counted{}
		base.answer = func(n int, r *http.Request) (*http.Response, error) {
			attempt = r.Context()
			if n == last {
				close(cancel)
			}
			return base.respond(503, r), nil
		}
		c := quick
		c.AttemptTimeout = time.Hour
		p := retry.MustNew(c)
		r, _ := http.NewRequest("GET", "http://host/", nil)
		//lint:ignore SA1019 http.Client.Timeout still uses it
		r.Cancel = cancel
		resp, err := retry.Transport(p, base).RoundTrip(r)
		if resp != nil || !errors.Is(err, context.Canceled) || base.n != last || attempt.Err() == nil {
			t.Errorf("%d: %v, %v after %d requests; the attempt's context says %v", last, resp, err, base.n, attempt.Err())
		}
		if o, cl := base.opened.Load(), base.closed.Load(); o != cl {
			t.Errorf("%d: %d bodies opened, %d closed", last, o, cl)
		}
		if s := p.Snapshot(); s.Ignored != 1 || s.Calls != 1 {
			t.Errorf("%d: %+v", last, s)
		}
	}
}
