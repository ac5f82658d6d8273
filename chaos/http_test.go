package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/holdfast-go/holdfast/chaos"
)

// never is a transport that no request reaches.
func never(t *testing.T) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return nil, errBoom
	})
}

// countedBody counts how often it is closed.
type countedBody struct {
	io.Reader
	closed atomic.Int64
}

func (b *countedBody) Close() error { b.closed.Add(1); return nil }

// Switched off, the transport underneath gets the very request, and the caller the very response; nil likewise.
func TestTransportOff(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody}
	var seen *http.Request
	base := roundTripper(func(r *http.Request) (*http.Response, error) { seen = r; return resp, errBoom })
	for _, in := range []*chaos.Injector{nil, chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}})} {
		rt := chaos.Transport(in, base)
		r := request(t, t.Context(), http.MethodGet, "http://host/", nil)
		if got, err := rt.RoundTrip(r); got != resp || err != errBoom || seen != r {
			t.Errorf("%v, %v, %v", got, err, seen)
		}
		if u, ok := rt.(interface{ Unwrap() http.RoundTripper }); !ok || u.Unwrap() == nil {
			t.Error("no Unwrap")
		}
	}
}

// Switched off, an exchange is the same to the byte, in both directions; also after it was on.
func TestOffByteIdentical(t *testing.T) {
	record := func(wrap bool) (asked, answered string) {
		in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{
			{Kind: chaos.Corrupt, Rate: 1}, {Kind: chaos.Truncate, Rate: 1}, {Kind: chaos.Slow, Rate: 1, BytesPerSecond: 1},
		}})
		in.Enable()
		in.Disable()
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			dump, err := httputil.DumpRequest(r, true)
			if err != nil {
				t.Error(err)
			}
			asked = strings.ReplaceAll(string(dump), r.Host, "host")
			w.Header()["Date"] = nil
			w.Header().Set("Trailer", "Sum")
			_, _ = io.WriteString(w, text(5000))
			w.Header().Set("Sum", "1")
		})
		var rt http.RoundTripper = &http.Transport{}
		defer rt.(*http.Transport).CloseIdleConnections()
		if wrap {
			h, rt = chaos.Handler(in, h), chaos.Transport(in, rt)
		}
		s := serve(t, false, h, func(s *httptest.Server) {
			if wrap {
				s.Listener = chaos.Listener(in, s.Listener)
			}
		})
		resp, err := rt.RoundTrip(request(t, t.Context(), http.MethodPost, s.URL, strings.NewReader(text(3000))))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		dump, err := httputil.DumpResponse(resp, true)
		if err != nil {
			t.Fatal(err)
		}
		return asked, string(dump)
	}
	asked, answered := record(false)
	askedOff, answeredOff := record(true)
	if asked != askedOff || answered != answeredOff || len(answered) < 5000 {
		t.Errorf("bare:\n%.300s\n%.300s\noff:\n%.300s\n%.300s", asked, answered, askedOff, answeredOff)
	}
}

// What keeps a request from being sent closes its body, and what takes a response away closes that.
func TestTransportClosesBodies(t *testing.T) {
	for _, test := range []chaos.Fault{
		{Kind: chaos.Failure},
		{Kind: chaos.Status},
		{Kind: chaos.Reset},
		{Kind: chaos.Panic},
		{Kind: chaos.BlackHole},
		{Kind: chaos.Latency, Delay: chaos.Delay{Median: time.Hour}},
	} {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				test.Rate, test.After = 1, after
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				asked, answered := &countedBody{Reader: strings.NewReader("ask")}, &countedBody{Reader: strings.NewReader("answer")}
				sent := false
				rt := chaos.Transport(on(t, test), roundTripper(func(r *http.Request) (*http.Response, error) {
					sent = true
					r.Body.Close()
					return &http.Response{StatusCode: 200, Body: answered, Header: http.Header{}}, nil
				}))
				func() {
					defer func() {
						if p := recover(); (p != nil) != (test.Kind == chaos.Panic) {
							panic(p)
						}
					}()
					resp, err := rt.RoundTrip(request(t, ctx, http.MethodPost, "http://host/", asked))
					if (resp != nil) != (test.Kind == chaos.Status) || (err != nil) == (resp != nil) {
						t.Errorf("%v: %v, %v", test.Kind, resp, err)
					}
				}()
				if want := map[bool]int64{true: 1}[after]; sent != after || asked.closed.Load() != 1 || answered.closed.Load() != want {
					t.Errorf("%v, After %v: sent %v, request's body closed %d times, response's %d times", test.Kind, after, sent, asked.closed.Load(), answered.closed.Load())
				}
			})
		}
	}
}

// The context ends a black hole at once; with req.Cancel too.
func TestTransportBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := chaos.Transport(on(t, chaos.Fault{Kind: chaos.BlackHole, Rate: 1}), never(t))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := rt.RoundTrip(request(t, ctx, http.MethodGet, "http://host/", nil))
		timeout, ok := err.(interface{ Timeout() bool })
		if !errors.Is(err, context.DeadlineExceeded) || !ok || !timeout.Timeout() || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r := request(t, t.Context(), http.MethodGet, "http://host/", nil)
		stop := make(chan struct{})
		//lint:ignore SA1019 http.Client still uses it for its Timeout
		r.Cancel = stop
		time.AfterFunc(time.Minute, func() { close(stop) })
		start = time.Now()
		if _, err := rt.RoundTrip(r); err == nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A made-up response is one that http.Client takes for real.
func TestTransportStatus(t *testing.T) {
	rt := chaos.Transport(on(t, chaos.Fault{Kind: chaos.Status, Rate: 1, Status: 429, Body: "later", RetryAfter: "9"}), never(t))
	resp, err := (&http.Client{Transport: rt}).Get("http://host/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if resp.Status != "429 Too Many Requests" || resp.Header.Get("Retry-After") != "9" || string(got) != "later" || resp.ContentLength != 5 || resp.Request == nil {
		t.Errorf("%+v, %q", resp, got)
	}
	head, err := rt.RoundTrip(request(t, t.Context(), http.MethodHead, "http://host/", nil))
	if err != nil || head.Body != http.NoBody || head.ContentLength != 5 {
		t.Errorf("HEAD: %+v, %v", head, err)
	}
	none, err := chaos.Transport(on(t, chaos.Fault{Kind: chaos.Status, Rate: 1, Status: 204, Body: "none"}), never(t)).RoundTrip(request(t, t.Context(), "", "http://host/", nil))
	if err != nil || none.Body != http.NoBody || none.ContentLength != 0 {
		t.Errorf("204: %+v, %v", none, err)
	}
}

// Each absurd Retry-After comes sooner or later, the same for the same seed; the client survives them all.
func TestRetryAfters(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		in := on(t, chaos.Fault{Kind: chaos.Status, Rate: 1, RetryAfter: chaos.AnyRetryAfter})
		s := serve(t, h2, chaos.Handler(in, page("")), func(s *httptest.Server) { s.Config.MaxHeaderBytes = 1 << 16 })
		seen := map[string]bool{}
		made := chaos.Transport(in, never(t))
		for range 400 {
			for _, rt := range []http.RoundTripper{s.Client().Transport, made} {
				resp, err := rt.RoundTrip(request(t, t.Context(), http.MethodGet, s.URL, nil))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != 503 || len(resp.Header["Retry-After"]) == 0 {
					t.Fatalf("%+v", resp)
				}
				seen[strings.Join(resp.Header["Retry-After"], "\n")] = true
			}
		}
		for _, lines := range chaos.RetryAfters() {
			if !seen[strings.Join(lines, "\n")] {
				t.Errorf("never seen: %.40q", lines)
			}
		}
	})
	chaos.RetryAfters()[0][0] = "changed"
	if chaos.RetryAfters()[0][0] == "changed" {
		t.Error("RetryAfters can be changed")
	}
}

// Bodies that end early, or are reset, or wrong.
func TestTransportBodies(t *testing.T) {
	whole := text(20_000)
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, page(whole))
		_, got, err := get(t, over(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 7001}), s), s.URL)
		if got != whole[:7001] || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, chaos.ErrInjected) {
			t.Errorf("truncated: %d bytes, %v", len(got), err)
		}
		_, got, err = get(t, over(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 20_000}), s), s.URL)
		if got != whole || err != nil {
			t.Errorf("not longer than Bytes: %d bytes, %v", len(got), err)
		}
		_, got, err = get(t, over(on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1}), s), s.URL)
		if got != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("truncated to nothing: %d bytes, %v", len(got), err)
		}
		_, got, err = get(t, over(on(t, chaos.Fault{Kind: chaos.Reset, Rate: 1, Bytes: 100}), s), s.URL)
		if got != whole[:100] || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset: %d bytes, %v", len(got), err)
		}
		_, got, err = get(t, over(on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Body: "<html>log in"}), s), s.URL)
		if got != "<html>log in" || err != nil {
			t.Errorf("replaced: %.30q, %v", got, err)
		}
		in := on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Bytes: 100})
		_, got, err = get(t, over(in, s), s.URL)
		if err != nil || changedBits(t, whole, got) != 200 {
			t.Errorf("corrupt: %d bits changed, %v", changedBits(t, whole, got), err)
		}
		in.Disable()
		in.Enable()
		if _, again, _ := get(t, over(in, s), s.URL); again != got {
			t.Error("the same call is corrupted in another way")
		}
		if _, got, err = get(t, over(in, s), s.URL); err != nil || got == whole {
			t.Error("the next call is not corrupted")
		}
	})
}

func changedBits(t *testing.T, a, b string) (n int) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d bytes, want %d", len(b), len(a))
	}
	for i := range a {
		for x := a[i] ^ b[i]; x != 0; x &= x - 1 {
			n++
		}
	}
	return n
}

// What is corrupted is one bit in each run of bytes, not always the same, however the body is read.
func TestCorruptBits(t *testing.T) {
	whole := text(6400)
	in := chaos.MustNew(chaos.Config{Faults: []chaos.Fault{{Kind: chaos.Corrupt, Rate: 1}}})
	fetch := func(read func(io.Reader) io.Reader) string {
		in.Enable()
		defer in.Disable()
		rt := chaos.Transport(in, roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(whole))}, nil
		}))
		resp, err := rt.RoundTrip(request(t, t.Context(), http.MethodGet, "http://host/", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(read(resp.Body))
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	got := fetch(func(r io.Reader) io.Reader { return r })
	bits, places := map[byte]bool{}, map[int]bool{}
	for block := range len(whole) / 64 {
		a, b := whole[block*64:(block+1)*64], got[block*64:(block+1)*64]
		if changedBits(t, a, b) != 1 {
			t.Fatalf("block %d: %d bits", block, changedBits(t, a, b))
		}
		for i := range a {
			if x := a[i] ^ b[i]; x != 0 {
				bits[x], places[i] = true, true
			}
		}
	}
	if len(bits) != 8 || len(places) < 40 {
		t.Errorf("%d bits, %d places", len(bits), len(places))
	}
	if again := fetch(iotest.OneByteReader); again != got {
		t.Error("read byte by byte, it is another")
	}
}

// A body that is cut is closed at once, as a connection that is gone; and may be closed again.
func TestCutBodyIsClosed(t *testing.T) {
	for _, f := range []chaos.Fault{{Kind: chaos.Truncate, Rate: 1, Bytes: 5}, {Kind: chaos.Reset, Rate: 1, Bytes: 5}} {
		inner := &countedBody{Reader: strings.NewReader("hello world")}
		rt := chaos.Transport(on(t, f), roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: inner}, nil
		}))
		resp, err := rt.RoundTrip(request(t, t.Context(), http.MethodGet, "http://host/", nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if string(got) != "hello" || !errors.Is(err, chaos.ErrInjected) || inner.closed.Load() != 1 {
			t.Errorf("%q, %v, closed %d times", got, err, inner.closed.Load())
		}
		if _, again := resp.Body.Read(make([]byte, 1)); again != err {
			t.Errorf("read again: %v", again)
		}
		resp.Body.Close()
		resp.Body.Close()
	}
}

// What is switched off while a body is read leaves the rest of it whole.
func TestSwitchedOffWithinBody(t *testing.T) {
	whole := text(1000)
	in := on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 100}, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Bytes: 200})
	rt := chaos.Transport(in, roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(whole))}, nil
	}))
	resp, err := rt.RoundTrip(request(t, t.Context(), http.MethodGet, "http://host/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head := make([]byte, 100)
	if _, err := io.ReadFull(resp.Body, head); err != nil {
		t.Fatal(err)
	}
	in.Disable()
	if rest, err := io.ReadAll(resp.Body); string(rest) != whole[100:] || err != nil {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

// What tools look for goes on to the transport underneath.
func TestTransportForwards(t *testing.T) {
	s := serve(t, false, page("fine"))
	base := s.Client().Transport.(*http.Transport)
	conns := 0
	client := over(on(t), s)
	for range 2 {
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				conns++
			}
		}}
		if _, _, err := do(client, request(t, httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.URL, nil)); err != nil {
			t.Fatal(err)
		}
		client.CloseIdleConnections()
	}
	if conns != 2 {
		t.Errorf("%d connections: CloseIdleConnections does not reach the base", conns)
	}
	rt := chaos.Transport(nil, base)
	if f, ok := rt.(interface{ Faithful() bool }); !ok || !f.Faithful() {
		t.Error("not known to leave requests as they are")
	}
}

// A slow body takes as long as it should, however it is read; Close and the context end a Read that waits.
func TestTransportSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 1000})
		inner := &countedBody{}
		rt := chaos.Transport(in, roundTripper(func(*http.Request) (*http.Response, error) {
			inner = &countedBody{Reader: strings.NewReader(text(5000))}
			return &http.Response{StatusCode: 200, Body: inner}, nil
		}))
		send := func(ctx context.Context) *http.Response {
			resp, err := rt.RoundTrip(request(t, ctx, http.MethodGet, "http://host/", nil))
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		start := time.Now()
		if got, err := io.ReadAll(send(t.Context()).Body); string(got) != text(5000) || err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("%d bytes, %v after %v", len(got), err, time.Since(start))
		}

		resp := send(t.Context())
		time.AfterFunc(time.Second+time.Millisecond, func() { resp.Body.Close() })
		start = time.Now()
		if got, err := io.ReadAll(resp.Body); len(got) < 950 || len(got) > 1000 || err == nil || time.Since(start) != time.Second+time.Millisecond || inner.closed.Load() != 1 {
			t.Errorf("closed: %d bytes, %v after %v", len(got), err, time.Since(start))
		}

		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second+time.Millisecond)
		defer cancel()
		if got, err := io.ReadAll(send(ctx).Body); len(got) < 1950 || len(got) > 2000 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %d bytes, %v", len(got), err)
		}

		time.AfterFunc(time.Second+time.Millisecond, in.Disable)
		start = time.Now()
		if got, err := io.ReadAll(send(t.Context()).Body); len(got) != 5000 || err != nil || time.Since(start) != time.Second+time.Millisecond {
			t.Errorf("switched off: %d bytes, %v after %v", len(got), err, time.Since(start))
		}
	})
}

// Faults of bodies leave alone what has none.
func TestTransportBodiless(t *testing.T) {
	in := on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1}, chaos.Fault{Kind: chaos.Corrupt, Rate: 1, Body: "x"})
	conn := &countedBody{Reader: strings.NewReader("")}
	for _, test := range []struct {
		method string
		resp   *http.Response
	}{
		{http.MethodGet, &http.Response{StatusCode: 204, Body: http.NoBody}},
		{http.MethodHead, &http.Response{StatusCode: 200, ContentLength: 7, Body: http.NoBody}},
		{http.MethodGet, &http.Response{StatusCode: 101, Body: conn}},
		{http.MethodConnect, &http.Response{StatusCode: 200, Body: conn}},
	} {
		body := test.resp.Body
		rt := chaos.Transport(in, roundTripper(func(*http.Request) (*http.Response, error) { return test.resp, nil }))
		if resp, err := rt.RoundTrip(request(t, t.Context(), test.method, "http://host/", nil)); err != nil || resp.Body != body {
			t.Errorf("%s %d: %+v, %v", test.method, test.resp.StatusCode, resp, err)
		}
	}
	if n := struck(in); !slices.Equal(n, []uint64{0, 0}) {
		t.Errorf("struck %v", n)
	}
}

// For whom, by request; by key, so that it does not matter who comes first.
func TestTransportWhom(t *testing.T) {
	s := serve(t, false, page("fine"))
	in := on(t, chaos.Fault{Kind: chaos.Status, Rate: 1, WhenRequest: func(r *http.Request) bool { return r.URL.Path == "/bad" }})
	for path, want := range map[string]int{"/": 200, "/bad": 503} {
		if status, _, err := get(t, over(in, s), s.URL+path); status != want || err != nil {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
	if _, err := chaos.Do(t.Context(), in, hello); err != nil {
		t.Errorf("not a request: %v", err)
	}

	keyed := chaos.MustNew(chaos.Config{
		RequestKey: func(r *http.Request) string { return r.Header.Get("X-Request-Id") },
		Faults:     []chaos.Fault{{Kind: chaos.Status, Rate: 0.5}},
	})
	statuses := func(order func(i int) int) (out [50]int) {
		keyed.Enable()
		defer keyed.Disable()
		for i := range out {
			k := order(i)
			r := request(t, t.Context(), http.MethodGet, s.URL, nil)
			r.Header.Set("X-Request-Id", fmt.Sprint(k))
			out[k], _, _ = do(over(keyed, s), r)
		}
		return out
	}
	there, back := statuses(func(i int) int { return i }), statuses(func(i int) int { return 49 - i })
	if there != back || !slices.Contains(there[:], 200) || !slices.Contains(there[:], 503) {
		t.Errorf("\n%v\n%v", there, back)
	}
	attempts := map[int]bool{}
	keyed.Enable()
	defer keyed.Disable()
	for i := range 20 {
		r := request(t, t.Context(), http.MethodGet, s.URL, nil)
		r.Header.Set("X-Request-Id", "same")
		r.Header.Set("Holdfast-Attempt", fmt.Sprint(i+1))
		status, _, _ := do(over(keyed, s), r)
		attempts[status] = true
	}
	if len(attempts) != 2 {
		t.Error("all attempts of one request have the same fate")
	}
}

// A header with the secret, on the server's side too, and what its handler calls.
func TestHeaderSecret(t *testing.T) {
	secret := chaos.MustNew(chaos.Config{Secret: "s3cret", Faults: []chaos.Fault{{Kind: chaos.Status, Rate: 1}}})
	deep := chaos.MustNew(chaos.Config{Secret: "s3cret", Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}})
	pass := chaos.MustNew(chaos.Config{Secret: "s3cret"})
	for _, in := range []*chaos.Injector{secret, deep, pass} {
		in.Enable()
	}
	struck := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := chaos.Do(r.Context(), deep, hello)
		fmt.Fprint(w, err)
	})
	mux := http.NewServeMux()
	mux.Handle("/here", chaos.Handler(secret, page("fine")))
	mux.Handle("/below", chaos.Handler(pass, struck))
	s := serve(t, false, mux)
	for _, test := range []struct{ secret, path, want string }{
		{"", "/here", "200 fine"},
		{"wrong", "/here", "200 fine"},
		{"s3cret", "/here", "503 "},
		{"", "/below", "200 <nil>"},
		{"s3cret", "/below", "200 chaos: error"},
	} {
		r := request(t, t.Context(), http.MethodGet, s.URL+test.path, nil)
		r.Header.Set(chaos.Header, test.secret)
		if status, got, err := do(s.Client(), r); fmt.Sprint(status, " ", got) != test.want || err != nil {
			t.Errorf("%s with %q: %d %q, %v", test.path, test.secret, status, got, err)
		}
	}
	r := request(t, t.Context(), http.MethodGet, s.URL+"/nowhere", nil)
	r.Header.Set(chaos.Header, "s3cret")
	if status, _, err := do(over(secret, s), r); status != 503 || err != nil {
		t.Errorf("a Transport: %d, %v", status, err)
	}
}

// The faults of a call are on the span that it is under.
func TestSpans(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, span := provider.Tracer("test").Start(t.Context(), "call")
	slow := chaos.Fault{Name: "slow", Kind: chaos.Latency, Rate: 1, Delay: chaos.Delay{Median: 1}}
	in := on(t, slow, chaos.Fault{Kind: chaos.Failure, Rate: 1})
	_, _ = chaos.Do(ctx, in, hello)
	span.End()
	_, span = provider.Tracer("test").Start(t.Context(), "spared")
	_, _ = chaos.Do(t.Context(), in, hello)
	span.End()
	want := []attribute.KeyValue{attribute.String("holdfast.chaos.fault", "slow,error")}
	if got := spans.Ended()[0].Attributes(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := spans.Ended()[1].Attributes(); len(got) != 0 {
		t.Errorf("a span that no call was under: %v", got)
	}
}

// 1,000 goroutines over one Transport and Handler, with every fault that ends.
func TestHTTPStorm(t *testing.T) {
	faults := []chaos.Fault{
		{Kind: chaos.Failure, Rate: 0.1},
		{Kind: chaos.Latency, Rate: 0.2, Delay: chaos.Delay{Median: time.Microsecond}},
		{Kind: chaos.Status, Rate: 0.1, RetryAfter: "1"},
		{Kind: chaos.Reset, Rate: 0.05, Bytes: 100},
		{Kind: chaos.Truncate, Rate: 0.1, Bytes: 200},
		{Kind: chaos.Corrupt, Rate: 0.1},
		{Kind: chaos.Slow, Rate: 0.1, BytesPerSecond: 1 << 20},
	}
	eachProtocol(t, func(t *testing.T, h2 bool) {
		in := on(t, faults...)
		s := serve(t, h2, chaos.Handler(in, page(text(3000))))
		client := over(in, s)
		if base, ok := s.Client().Transport.(*http.Transport); ok {
			base.MaxConnsPerHost = 50
		}
		var all sync.WaitGroup
		var good, bad atomic.Int64
		for range 1000 {
			all.Go(func() {
				status, got, err := get(t, client, s.URL)
				if err == nil && status == 200 && len(got) == 3000 {
					good.Add(1)
				} else {
					bad.Add(1)
				}
			})
		}
		within(t, "storm", all.Wait)
		if good.Load() < 200 || bad.Load() < 200 {
			t.Errorf("%d good, %d bad", good.Load(), bad.Load())
		}
		if n := in.Snapshot(); n.Held != 0 || slices.Contains(struck(in), 0) {
			t.Errorf("%+v", n)
		}
	})
}

// Trailers come through a body with faults.
func TestTransportTrailers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Sum")
			_, _ = io.WriteString(w, text(100))
			w.Header().Set("Sum", "42")
		}))
		in := on(t, chaos.Fault{Kind: chaos.Corrupt, Rate: 1})
		resp, err := over(in, s).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || bytes.Equal(got, []byte(text(100))) || resp.Trailer.Get("Sum") != "42" {
			t.Errorf("%d bytes, %v, trailer %v", len(got), err, resp.Trailer)
		}
	})
}
