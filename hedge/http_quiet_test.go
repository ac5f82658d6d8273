package hedge_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/hedge"
)

// Where no hedge is needed nothing is to be told from the bare transport, on the wire and in what comes back: neither how a
// body is sent, nor that it is not.
func TestTransportIsNotToBeTold(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{0: func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "Sum")
			fmt.Fprintf(w, "%s %s %v %d %v %q %v", r.Method, r.URL, r.Header, r.ContentLength, r.TransferEncoding, body, err)
			w.Header().Set("Sum", "42")
		}})
		bare := s.Client().Transport
		hedged := hedge.Transport(hedge.MustNew(atOnce), bare)
		for name, body := range map[string]func() io.Reader{
			"none":           func() io.Reader { return nil },
			"NoBody":         func() io.Reader { return http.NoBody },
			"in memory":      func() io.Reader { return strings.NewReader("hello") },
			"empty":          func() io.Reader { return strings.NewReader("") },
			"a stream":       func() io.Reader { return io.MultiReader(strings.NewReader("hello")) },
			"a stream empty": func() io.Reader { return io.MultiReader() },
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
				for _, again := range []bool{false, true} { // streams with a GetBody too
					said := func(rt http.RoundTripper) string {
						r := request(t, method, s.URL+"/a?b", body(), "Idempotency-Key", "7", "Accept", "text/plain")
						if r.GetBody == nil && again && body() != nil {
							r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(body()), nil }
						}
						resp, err := rt.RoundTrip(r)
						if err != nil {
							t.Fatal(err)
						}
						defer resp.Body.Close()
						kind := fmt.Sprintf("%T", resp.Body)
						got, err := io.ReadAll(resp.Body)
						resp.Header.Del("Date")
						return fmt.Sprint(string(got), err, resp.Status, resp.Header, resp.ContentLength, resp.Uncompressed, resp.Trailer, kind)
					}
					if want, got := said(bare), said(hedged); got != want {
						t.Errorf("%s %s:\n%s\nbare:\n%s", method, name, got, want)
					}
				}
			}
		}
		if n := s.connections.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// A server that does not want the body is not sent it.
func TestTransportExpectContinue(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		s := serve(pages{0: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wanted" {
				io.Copy(w, r.Body)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
		}})
		s.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
		for path, want := range map[string]string{"/unwanted": "401 ", "/wanted": "200 hello"} {
			var reads atomic.Int64
			body := func() (io.ReadCloser, error) {
				hello := strings.NewReader("hello")
				return io.NopCloser(reader(func(p []byte) (int, error) { reads.Add(1); return hello.Read(p) })), nil
			}
			r := request(t, "PUT", s.URL+path, nil, "Expect", "100-continue", "Idempotency-Key", "7")
			r.Body, _ = body()
			r.GetBody, r.ContentLength = body, 5
			resp, err := hedge.Transport(hedge.MustNew(atOnce), s.Client().Transport).RoundTrip(r)
			if got := text(t, resp, err); got != want || (reads.Load() > 0) != (path == "/wanted") {
				t.Errorf("%s: %q after %d reads", path, got, reads.Load())
			}
		}
	})
}

// The hooks of the caller's trace are called, for each attempt.
func TestTransportTrace(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		for want, p := range []pages{1: {0: says(200, "")}, 2: duel(says(200, ""))} {
			if p == nil {
				continue
			}
			s := serve(p)
			var got atomic.Int32
			wrote := make(chan struct{}, 2*want)
			trace := &httptrace.ClientTrace{
				GotConn:      func(httptrace.GotConnInfo) { got.Add(1) },
				WroteRequest: func(httptrace.WroteRequestInfo) { wrote <- struct{}{} },
			}
			r := request(t, "GET", s.URL, nil)
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
			c := atOnce
			if want == 2 {
				c = soon
			}
			resp, err := s.over(c).RoundTrip(r)
			text(t, resp, err)
			s.wire.settled(t, want)
			for range want { // net/http says so when it gets to it, which may be after the answer has come
				<-wrote
			}
			if n := got.Load(); int(n) != want || len(wrote) > 0 {
				t.Errorf("%d attempts: %d had a connection, %d more were written", want, n, len(wrote))
			}
		}
	})
}

// countsIdle is a base that counts how often its idle connections are to be closed.
type countsIdle struct {
	http.RoundTripper
	idle int
}

func (c *countsIdle) CloseIdleConnections() { c.idle++ }

// What a Transport is besides RoundTrip; and a nil policy passes all through.
func TestTransportOfNothing(t *testing.T) {
	var seen *http.Request
	base := &countsIdle{RoundTripper: roundTripper(func(r *http.Request) (*http.Response, error) { seen = r; return nil, errBoom })}
	for name, p := range map[string]*hedge.Policy{"nil": nil, "policy": hedge.MustNew(atOnce)} {
		rt := hedge.Transport(p, base)
		r := request(t, "GET", "http://host/", nil)
		if resp, err := rt.RoundTrip(r); resp != nil || err == nil || p == nil && (err != errBoom || seen != r) {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
		if got := rt.(interface{ Unwrap() http.RoundTripper }).Unwrap(); got != http.RoundTripper(base) {
			t.Errorf("%s: Unwrap is %v", name, got)
		}
		base.idle = 0
		if (&http.Client{Transport: rt}).CloseIdleConnections(); base.idle != 1 {
			t.Errorf("%s: CloseIdleConnections reached the base %d times", name, base.idle)
		}
		if rt.(interface{ Faithful() bool }).Faithful() || !hedge.Transport(p, nil).(interface{ Faithful() bool }).Faithful() {
			t.Errorf("%s: it is as faithful as its base is known to be", name)
		}
	}
	if got := recovered(func() { hedge.Transport(nil, (*http.Transport)(nil)) }); got == nil {
		t.Error("a nil *http.Transport was taken")
	}
	s := newSite(t, false, pages{0: says(200, "default")})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	resp, err := (&http.Client{Transport: hedge.Transport(hedge.MustNew(atOnce), nil)}).Get(s.URL)
	if got := text(t, resp, err); got != "200 default" {
		t.Errorf("got %q", got)
	}
}

// Many at once, each of which may be hedged, fail, or be given up: under -race.
func TestTransportManyAtOnce(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(pages) *site) {
		const clients, each = 20, 10
		var n atomic.Int64
		s := serve(pages{
			1: func(w http.ResponseWriter, r *http.Request) {
				switch n.Add(1) % 4 {
				case 0:
					hangs(w, r)
				case 1:
					says(503, "busy")(w, r)
				default:
					says(200, "hello")(w, r)
				}
			},
			2: says(200, "hello"),
		})
		client := s.client(soon)
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range each {
					r, _ := http.NewRequestWithContext(t.Context(), "PUT", s.URL, strings.NewReader("hello"))
					r.Header.Set("Idempotency-Key", "7")
					resp, err := client.Do(r)
					if got := text(t, resp, err); got != "200 hello" {
						t.Errorf("got %q", got)
					}
				}
			})
		}
		all.Wait()
	})
}
