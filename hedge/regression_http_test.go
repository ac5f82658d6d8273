package hedge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/internal/httpx"
)

// What a review found in the Transport.

// patient is a request of which a test that hangs is told.
func patient(t *testing.T, url string) *http.Request {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return request(t, "GET", url, nil).WithContext(ctx)
}

// A failed response has no connection, and no place, that the next attempt waits for.
func TestFailedResponseHoldsNothing(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for name, below := range map[string]func(s *site) http.RoundTripper{
			"one connection": func(s *site) http.RoundTripper {
				s.Client().Transport.(*http.Transport).MaxConnsPerHost = 1
				return s.wire
			},
			"one place": func(s *site) http.RoundTripper {
				return bulkhead.Transport(bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 100}), s.wire)
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := serve(pages{0: says(503, "busy"), 3: says(200, "third")})
				for hedges, want := range []string{1: "503 busy", 2: "200 third"} {
					if hedges == 0 {
						continue
					}
					rt := hedge.Transport(hedge.MustNew(free(time.Hour, hedges)), below(s))
					var all sync.WaitGroup
					for range 4 {
						all.Go(func() {
							resp, err := rt.RoundTrip(patient(t, s.URL))
							if got := text(t, resp, err); got != want {
								t.Errorf("got %q, want %q", got, want)
							}
						})
					}
					all.Wait()
				}
				s.wire.settled(t, 4*2+4*3)
			})
		}
	})
}

// What is in a failed response is what the server said, though it was read before.
func TestFailedResponseIsAsItWas(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for name, body := range map[string]string{"short": "busy", "empty": "", "long": strings.Repeat("busy", 100_000)} {
			for _, length := range []bool{false, true} {
				s := serve(pages{0: func(w http.ResponseWriter, _ *http.Request) {
					if length {
						w.Header().Set("Content-Length", fmt.Sprint(len(body)))
					} else {
						w.Header().Set("Trailer", "Sum")
						defer w.Header().Set("Sum", "42")
					}
					w.Header().Set("Retry-After", "0")
					w.WriteHeader(503)
					w.(http.Flusher).Flush()
					io.WriteString(w, body)
				}})
				said := func(rt http.RoundTripper) string {
					resp, err := rt.RoundTrip(patient(t, s.URL))
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					resp.Header.Del("Date")
					return fmt.Sprint(string(got) == body, err, resp.Status, resp.Header, resp.ContentLength, resp.Uncompressed, resp.Trailer)
				}
				if want, got := said(s.Client().Transport), said(s.over(atOnce)); got != want {
					t.Errorf("%s, length %t: %s\nbare: %s", name, length, got, want)
				}
			}
		}
	})
}

// A failed response that is too long, or too slow, to be read first goes to the caller as it is, and no attempt follows that
// would wait for what it holds.
func TestFailedResponseThatIsHeld(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		more := make(chan struct{})
		for name, page := range map[string]http.HandlerFunc{
			"long": says(503, long),
			"slow": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(503)
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				<-more
				io.WriteString(w, long[1:])
			},
		} {
			s := serve(pages{0: page})
			s.Client().Transport.(*http.Transport).MaxConnsPerHost = 1
			if name == "slow" {
				t.Cleanup(httpx.DrainFor(50 * ms)) // as it is where nobody has set it
			}
			resp, err := s.over(free(time.Hour, 2)).RoundTrip(patient(t, s.URL))
			if name == "slow" {
				close(more)
			}
			if got := text(t, resp, err); got != "503 "+long {
				t.Errorf("%s: got %d bytes: %.20q", name, len(got), got)
			}
			s.wire.settled(t, 1)
		}
	})
}

// If another attempt waits already for the connection that a long failed response has, that is given up; who gets it all the
// same hears that something is missing.
func TestFailedResponseThatIsCut(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, chunked := range []bool{false, true} {
		for status, want := range map[int]string{200: "200 second", 500: "503 "} {
			waits := make(chan struct{})
			s := newSite(t, false, pages{
				1: after(waits, func(w http.ResponseWriter, r *http.Request) {
					if !chunked {
						w.Header().Set("Content-Length", fmt.Sprint(len(long)))
					}
					says(503, long)(w, r)
				}),
				2: says(status, "second"),
			})
			s.Client().Transport.(*http.Transport).MaxConnsPerHost = 1
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				if hedge.AttemptFrom(r.Context()) == 2 {
					close(waits)
				}
				return s.wire.RoundTrip(r)
			})
			resp, err := hedge.Transport(hedge.MustNew(soon), base).RoundTrip(patient(t, s.URL))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			switch said := fmt.Sprint(resp.StatusCode, " ", string(got)); {
			case status == 200 && (said != want || err != nil):
				t.Errorf("got %.20q, %v", said, err)
			case status == 500 && (!strings.HasPrefix(said, want) || len(got) == len(long) || err == nil):
				t.Errorf("got %.20q, %d bytes, and their end is %v", said, len(got), err)
			}
			s.wire.settled(t, 2)
		}
	}
}

// slowBody ends after a while, or when it is closed.
type slowBody struct {
	until  <-chan time.Time
	closed chan struct{}
	once   sync.Once
}

func newSlowBody(d time.Duration) *slowBody {
	return &slowBody{until: time.After(d), closed: make(chan struct{})}
}

func (b *slowBody) Read([]byte) (int, error) {
	select {
	case <-b.until:
		return 0, io.EOF
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	}
}

func (b *slowBody) Close() error { b.once.Do(func() { close(b.closed) }); return nil }

// Neither does an attempt begin for the timer while a failed response is held, nor one that was about to.
func TestNoneBeginsBesideAHeldResponse(t *testing.T) {
	for name, test := range map[string]struct {
		delay, getBody time.Duration
		bodies         int
		hedgeIf        func(error) bool
	}{
		"the timer":                 {delay: 60 * ms, bodies: 1},
		"the timer, and HedgeIf no": {delay: 60 * ms, bodies: 1, hedgeIf: never},
		"one that makes its body":   {delay: 5 * ms, getBody: 80 * ms, bodies: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, sent := newAccounts(), 0
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					sent++
					r.Body.Close()
					return &http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: -1, Body: newSlowBody(time.Second), Request: r}, nil
				})
				c := free(test.delay, 2)
				c.HedgeIf = test.hedgeIf
				r := request(t, "PUT", "http://host/", a.body("hello"), "Idempotency-Key", "7")
				r.GetBody = func() (io.ReadCloser, error) { time.Sleep(test.getBody); return a.body("hello"), nil }
				resp, err := hedge.Transport(hedge.MustNew(c), base).RoundTrip(r)
				if got := text(t, resp, err); got != "503 " || sent != 1 {
					t.Errorf("%q after %d attempts", got, sent)
				}
				if n := a.settled(); n != test.bodies {
					t.Errorf("%d bodies, want %d", n, test.bodies)
				}
			})
		})
	}
}

// A base that panics while a failed response is read leaves nothing open.
func TestFailedResponseWhoseReadPanics(t *testing.T) {
	var closed atomic.Int32
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		body := closing{reader(func([]byte) (int, error) { panic("boom") }), func() { closed.Add(1) }}
		return &http.Response{StatusCode: 503, ProtoMajor: 1, ContentLength: -1, Body: body, Request: r}, nil
	})
	got := recovered(func() {
		hedge.Transport(hedge.MustNew(atOnce), base).RoundTrip(request(t, "GET", "http://host/", nil))
	})
	if p, ok := got.(*hedge.PanicError); !ok || p.Value != "boom" || closed.Load() != 1 {
		t.Errorf("recovered %v, closed %d times", got, closed.Load())
	}
}

// What is written into a request's header, as the Proxy function of an http.Transport can, is in that request alone.
func TestHeaderOfEachCall(t *testing.T) {
	var seen atomic.Int32
	s := newSite(t, false, pages{0: func(_ http.ResponseWriter, r *http.Request) {
		if secrets := r.Header["X-Secret"]; len(secrets) != 1 || secrets[0] != r.URL.Host {
			t.Errorf("%s is told %q", r.URL.Host, secrets)
		}
		seen.Add(1)
	}})
	proxy, _ := url.Parse(s.URL)
	base := s.Client().Transport.(*http.Transport)
	base.Proxy = func(r *http.Request) (*url.URL, error) {
		r.Header.Add("X-Secret", r.URL.Host)
		return proxy, nil
	}
	rt := hedge.Transport(hedge.MustNew(atOnce), base)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 10 {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://%d.test/", i), nil)
				resp, err := rt.RoundTrip(r)
				text(t, resp, err)
			}
		})
	}
	all.Wait()
	if seen.Load() != 40 {
		t.Errorf("%d requests", seen.Load())
	}
}

// A server that is still working on a key says so to the attempt that comes second, with 409: that is no answer, nor a
// reason to send a third.
func TestKeyThatIsBeingWorkedOn(t *testing.T) {
	type answers []struct {
		after  time.Duration
		status int
	}
	for name, test := range map[string]struct {
		method  string
		answers answers
		want    int
		starts  []time.Duration
	}{
		"the second":              {"POST", answers{{100 * ms, 201}, {ms, 409}, {ms, 409}}, 201, []time.Duration{0, 20 * ms, 40 * ms}},
		"too early":               {"POST", answers{{100 * ms, 201}, {ms, 425}, {ms, 425}}, 201, []time.Duration{0, 20 * ms, 40 * ms}},
		"the first":               {"PUT", answers{{25 * ms, 409}, {10 * ms, 201}}, 201, []time.Duration{0, 20 * ms}},
		"all":                     {"POST", answers{{30 * ms, 409}, {ms, 409}, {ms, 409}}, 409, []time.Duration{0, 20 * ms}},
		"a conflict":              {"POST", answers{{ms, 409}}, 409, []time.Duration{0}},
		"too early, and no other": {"POST", answers{{ms, 425}, {ms, 201}}, 201, []time.Duration{0, ms}},
		"a GET":                   {"GET", answers{{100 * ms, 200}, {ms, 409}}, 409, []time.Duration{0, 20 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := &starts{zero: time.Now()}
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					began.add()
					a := test.answers[hedge.AttemptFrom(r.Context())-1]
					select {
					case <-time.After(a.after):
						return &http.Response{StatusCode: a.status, ProtoMajor: 1, Body: http.NoBody, Request: r}, nil
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				})
				r := request(t, test.method, "http://host/", nil, "Idempotency-Key", "7")
				resp, err := hedge.Transport(hedge.MustNew(free(20*ms, 2)), base).RoundTrip(r)
				if err != nil || resp.StatusCode != test.want || !slices.Equal(began.all(), test.starts) {
					t.Errorf("%v, %v, attempts began at %v", resp.StatusCode, err, began.all())
				}
			})
		})
	}
}

// Whether a status starts the next attempt at once is another question than whether it is a failure; and a server that asks
// for a wait is not asked again at once.
func TestWhatStartsTheNextAtOnce(t *testing.T) {
	for _, test := range []struct {
		status, attempts int
		retryAfter       string
	}{
		{503, 2, ""},
		{429, 2, ""},
		{503, 2, "0"},
		{503, 1, "60"},
		{429, 1, "1"},
		{507, 1, ""},
		{520, 1, ""},
		{501, 1, ""},
	} {
		a := newAccounts()
		var sent atomic.Int32
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			sent.Add(1)
			resp := a.response(test.status, r)
			if test.retryAfter != "" {
				resp.Header.Set("Retry-After", test.retryAfter)
			}
			return resp, nil
		})
		resp, err := hedge.Transport(hedge.MustNew(atOnce), base).RoundTrip(request(t, "GET", "http://host/", nil))
		if got, want := text(t, resp, err), fmt.Sprintf("%d text", test.status); got != want || int(sent.Load()) != test.attempts {
			t.Errorf("%d, Retry-After %q: %q after %d attempts, want %d", test.status, test.retryAfter, got, sent.Load(), test.attempts)
		}
		a.settled()
	}
}

// A loser that is answered when the caller has the request back does not look at it: under -race.
func TestLateAnswerOfAUsedRequest(t *testing.T) {
	again, closed := make(chan struct{}), make(chan struct{})
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, ProtoMajor: 1, Body: http.NoBody, Request: r}
		if hedge.AttemptFrom(r.Context()) == 1 {
			<-again
			resp.StatusCode, resp.Body = 409, closing{strings.NewReader("late"), func() { close(closed) }}
		}
		return resp, nil
	})
	r := request(t, "POST", "http://host/", nil, "Idempotency-Key", "7")
	resp, err := hedge.Transport(hedge.MustNew(soon), base).RoundTrip(r)
	if got := text(t, resp, err); got != "200 " {
		t.Errorf("got %q", got)
	}
	close(again)
	r.Method, r.URL, r.Header = "GET", nil, nil
	<-closed
}
