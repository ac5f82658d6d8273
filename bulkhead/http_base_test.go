package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/bulkhead"
)

// openBodies counts bodies that are opened and not closed.
type openBodies struct{ n atomic.Int64 }

type openBody struct {
	io.Reader
	open *atomic.Int64 // nil: closed
}

func (o *openBodies) body(text string) io.ReadCloser {
	o.n.Add(1)
	return &openBody{strings.NewReader(text), &o.n}
}

func (b *openBody) Close() error {
	if b.open != nil {
		b.open.Add(-1)
	}
	b.open = nil
	return nil
}

func (o *openBodies) response(status int) *http.Response {
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: o.body("text")}
}

type cancelKey struct{}

// Whatever the base does, each body that was opened is closed, the place is back, and the answer is one of a response and
// an error: the base's own.
func TestTransportBase(t *testing.T) {
	errNet := errors.New("net")
	closing := func(r *http.Request) { r.Body.Close() }
	for name, test := range map[string]struct {
		base func(o *openBodies, r *http.Request) (*http.Response, error)
		// what becomes of the call
		err     error // the very one; nil: any
		panics  bool
		exits   bool
		outcome string
	}{
		"success": {base: func(o *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return o.response(200), nil
		}, outcome: "success"},
		"failure": {base: func(o *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return o.response(503), nil
		}, outcome: "failure"},
		"not found": {base: func(o *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return o.response(404), nil
		}, outcome: "success"},
		"error": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return nil, errNet
		}, err: errNet, outcome: "failure"},
		"an error that net/http compares": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return nil, http.ErrSkipAltProtocol
		}, err: http.ErrSkipAltProtocol, outcome: "failure"},
		"its own cancellation": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return nil, context.Canceled
		}, err: context.Canceled, outcome: "ignored"},
		"an error after the caller has cancelled": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			r.Context().Value(cancelKey{}).(context.CancelFunc)()
			return nil, errNet
		}, err: errNet, outcome: "ignored"},
		"a response after the caller has cancelled": {base: func(o *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			r.Context().Value(cancelKey{}).(context.CancelFunc)()
			return o.response(200), nil
		}, outcome: "success"},
		"refused below": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return nil, &bulkhead.FullError{}
		}, outcome: "ignored"},
		"both": {base: func(o *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return o.response(200), errNet
		}, err: errNet, outcome: "failure"},
		"neither": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return nil, nil
		}, outcome: "failure"},
		"no body": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return &http.Response{StatusCode: 200}, nil
		}, outcome: "success"},
		"no body, but a length": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			return &http.Response{StatusCode: 200, ContentLength: 5}, nil
		}, outcome: "failure"},
		"panic": {base: func(*openBodies, *http.Request) (*http.Response, error) {
			panic("boom")
		}, panics: true, outcome: "failure"},
		"panic with the body closed": {base: func(_ *openBodies, r *http.Request) (*http.Response, error) {
			closing(r)
			panic("boom")
		}, panics: true, outcome: "failure"},
		"Goexit": {base: func(*openBodies, *http.Request) (*http.Response, error) {
			runtime.Goexit()
			return nil, nil
		}, exits: true, outcome: "failure"},
	} {
		for _, early := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				var open openBodies
				b := bulkhead.MustNew(bulkhead.Config{Limit: 1, ReleaseAtHeader: early})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, _ := http.NewRequestWithContext(context.WithValue(ctx, cancelKey{}, cancel), http.MethodPut, "http://host/", nil)
				r.Body = open.body("hello")
				var resp *http.Response
				var err error
				var panicked any
				over, returned := make(chan struct{}), false
				go func() {
					defer close(over)
					panicked = panicOf(func() {
						resp, err = bulkhead.Transport(b, roundTripper(func(r *http.Request) (*http.Response, error) {
							return test.base(&open, r)
						})).RoundTrip(r)
						returned = true
					})
				}()
				<-over
				if returned == (test.panics || test.exits) || (panicked == "boom") != test.panics {
					t.Fatalf("returned: %t, panicked: %v", returned, panicked)
				}
				if resp != nil && err != nil || resp == nil && err == nil && !test.panics && !test.exits || test.err != nil && err != test.err {
					t.Errorf("%v, %v", resp, err)
				}
				if resp != nil {
					if resp.Request != r {
						t.Error("the response is not to the caller's request")
					}
					resp.Body.Close()
				}
				if n := open.n.Load(); n != 0 {
					t.Errorf("%d bodies are open", n)
				}
				s := settled(t, b, 1)
				if got := map[string]uint64{"success": s.Successes, "failure": s.Failures, "ignored": s.Ignored}; got[test.outcome] != 1 {
					t.Errorf("want %s: %+v", test.outcome, s)
				}
			})
		}
	}
}

// A callback that panics leaves nothing open either, wherever it is called.
func TestTransportCallbacksPanic(t *testing.T) {
	adaptive := &bulkhead.Adaptive{Max: 1, Overloaded: func(error) bool { panic("boom") }}
	for name, test := range map[string]struct {
		config bulkhead.Config
		length int64
		calls  uint64
	}{
		"Exempt":                       {bulkhead.Config{Limit: 1, Exempt: func(*http.Request) bool { panic("boom") }}, -1, 0},
		"Overloaded, at the header":    {bulkhead.Config{Adaptive: adaptive, ReleaseAtHeader: true}, -1, 1},
		"Overloaded, without a body":   {bulkhead.Config{Adaptive: adaptive}, 0, 1},
		"Overloaded, when it is over":  {bulkhead.Config{Adaptive: adaptive}, -1, 1},
		"the context, before the call": {bulkhead.Config{Limit: 1}, -1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var open openBodies
			b := bulkhead.MustNew(test.config)
			rt := bulkhead.Transport(b, roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Body.Close()
				if test.length == 0 {
					return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
				}
				return open.response(503), nil
			}))
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://host/", nil)
			if test.config.Limit == 1 && test.config.Exempt == nil {
				r = r.WithContext(panicsWhenAsked{r.Context()})
			}
			r.Body = open.body("hello")
			if got := panicOf(func() {
				if resp, err := rt.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
			}); got != "boom" {
				t.Errorf("panicked with %v", got)
			}
			if n := open.n.Load(); n != 0 {
				t.Errorf("%d bodies are open", n)
			}
			settled(t, b, test.calls)
		})
	}
	var open openBodies
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Total: 1})
	r, _ := http.NewRequest(http.MethodPut, "http://host/", open.body("hello"))
	if got := panicOf(func() { k.Transport(func(*http.Request) string { panic("boom") }, nil).RoundTrip(r) }); got != "boom" || open.n.Load() != 0 {
		t.Errorf("key: %v, %d bodies are open", got, open.n.Load())
	}
	settled(t, k.Total(), 0)
}

// panicsWhenAsked is a context whose priority cannot be asked for.
type panicsWhenAsked struct{ context.Context }

func (c panicsWhenAsked) Value(key any) any {
	if strings.Contains(fmt.Sprintf("%T", key), "bulkhead.") {
		panic("boom")
	}
	return c.Context.Value(key)
}

// The base gets the caller's own request if nothing is to be told, and the caller's body in any case; what the caller holds
// is not modified.
func TestTransportLeavesTheRequest(t *testing.T) {
	type view struct {
		request http.Request
		header  http.Header
		url     url.URL
	}
	look := func(r *http.Request) view { return view{*r, r.Header.Clone(), *r.URL} }
	for name, priority := range map[string]bulkhead.Priority{"normal": bulkhead.Normal, "critical": bulkhead.Critical} {
		var got *http.Request
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			got = r
			r.Trailer.Set("Sum", "42") // as a body does that is read to its end
			return answering(200)(r)
		})
		ctx := bulkhead.WithPriority(t.Context(), priority)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPut, "http://host/a?b", strings.NewReader("hello"))
		r.Header.Set("Expect", "100-continue")
		r.Trailer, r.Host, r.Close = http.Header{"Sum": nil}, "other", true
		before := look(r)
		resp, err := bulkhead.Transport(bulkhead.MustNew(bulkhead.Config{Limit: 1}), base).RoundTrip(r)
		if err != nil || resp.Request != r {
			t.Fatalf("%s: %v, %v", name, resp, err)
		}
		if (got == r) != (priority == bulkhead.Normal) {
			t.Errorf("%s: the very request: %t", name, got == r)
		}
		if got.Body != r.Body || got.GetBody == nil || got.ContentLength != 5 || got.Host != "other" || !got.Close || *got.URL != *r.URL || r.Trailer.Get("Sum") != "42" {
			t.Errorf("%s: the base got %+v", name, got)
		}
		after := look(r)
		before.request.Trailer = after.request.Trailer
		same := fmt.Sprintf("%+v", after) == fmt.Sprintf("%+v", before) // GetBody and the context by their addresses
		if !same || !maps.EqualFunc(after.header, before.header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%s: the caller's request was\n%+v, is\n%+v", name, before, after)
		}
	}
}

// On the wire nothing is to be told from the bare transport: neither how a body is sent, nor that it is not.
func TestTransportIsNotToBeTold(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %v %d %v %v %q %v", r.Method, r.URL, r.Header, r.ContentLength, r.TransferEncoding, r.Trailer, text, err)
		})
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		for name, body := range map[string]func() io.Reader{
			"none":           func() io.Reader { return nil },
			"NoBody":         func() io.Reader { return http.NoBody },
			"in memory":      func() io.Reader { return strings.NewReader("hello") },
			"empty":          func() io.Reader { return strings.NewReader("") },
			"a stream":       func() io.Reader { return io.MultiReader(strings.NewReader("hello")) },
			"a stream empty": func() io.Reader { return io.MultiReader() },
		} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				said := func(rt http.RoundTripper) string {
					resp, err := rt.RoundTrip(s.request(t, method, "/", body()))
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					text, err := io.ReadAll(resp.Body)
					resp.Header.Del("Date")
					return fmt.Sprint(string(text), err, resp.Status, resp.Header, resp.ContentLength, resp.Uncompressed)
				}
				if bare, got := said(s.Client().Transport), said(s.over(b)); got != bare {
					t.Errorf("%s %s:\n%s\nbare:\n%s", method, name, got, bare)
				}
			}
		}
	})
}

// A server that does not want the body is not sent it.
func TestTransportExpectContinue(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		s := serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wanted" {
				io.Copy(w, r.Body)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
		s.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		for path, read := range map[string]bool{"/unwanted": false, "/wanted": true} {
			body := &countedBody{Reader: strings.NewReader("hello")}
			ctx := bulkhead.WithPriority(t.Context(), bulkhead.Critical)
			resp, err := s.over(b).RoundTrip(s.request(t, http.MethodPut, path, body, "Expect", "100-continue").WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if (string(text) == "hello") != read || err != nil || body.reads > 0 != read {
				t.Errorf("%s: %v %q, %v; %d reads", path, resp, text, err, body.reads)
			}
		}
		settled(t, b, 2)
	})
}

// A body of the caller's that fails is the caller's failure: the bulkhead ignores it, and the error is the body's.
func TestTransportBodyThatFails(t *testing.T) {
	errBody := errors.New("the file has shrunk")
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		s := serve(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		seen := 0
		b := bulkhead.MustNew(bulkhead.Config{Adaptive: &bulkhead.Adaptive{Overloaded: func(error) bool { seen++; return true }}})
		body := io.MultiReader(strings.NewReader("hello"), roundReader(func([]byte) (int, error) { return 0, errBody }))
		_, err := s.over(b).RoundTrip(s.request(t, http.MethodPut, "/", body))
		if books := settled(t, b, 1); !errors.Is(err, errBody) || books.Ignored != 1 || seen != 0 {
			t.Errorf("%v, %d seen: %+v", err, seen, books)
		}
	})
}

type roundReader func([]byte) (int, error)

func (f roundReader) Read(p []byte) (int, error) { return f(p) }

// What an adaptive bulkhead sees of responses: the failures, with what they say of when to come back.
func TestTransportAdaptiveStatuses(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for status, failure := range map[int]bool{200: false, 204: false, 304: false, 404: false, 408: false, 501: false, 505: false, 429: true, 500: true, 503: true, 504: true} {
			for _, atHeader := range []bool{false, true} {
				var seen []error
				b := bulkhead.MustNew(bulkhead.Config{ReleaseAtHeader: atHeader, Adaptive: &bulkhead.Adaptive{Overloaded: func(err error) bool {
					seen = append(seen, err)
					return false
				}}})
				s := serve(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "7")
					w.WriteHeader(status)
				})
				resp, err := s.over(b).RoundTrip(s.request(t, http.MethodGet, "/", nil))
				if err != nil || resp.StatusCode != status {
					t.Fatalf("%v, %v", resp, err)
				}
				resp.Body.Close()
				books := settled(t, b, 1)
				if !failure {
					if len(seen) != 0 || books.Successes != 1 {
						t.Errorf("%d: saw %v: %+v", status, seen, books)
					}
					continue
				}
				var got *bulkhead.StatusError
				if len(seen) != 1 || !errors.As(seen[0], &got) || got.StatusCode != status || got.RetryAfter() != 7*time.Second || books.Failures != 1 {
					t.Errorf("%d: saw %v: %+v", status, seen, books)
				}
			}
		}
	})
}
