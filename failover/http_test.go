package failover_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/failover"
)

func TestRewrites(t *testing.T) {
	for _, row := range []struct{ target, request, want string }{
		{"", "http://users/v1/me", "/v1/me"},
		{"/", "http://users/v1/me", "/v1/me"},
		{"/api", "http://users/v1/me", "/api/v1/me"},
		{"/api/", "http://users/v1/me", "/api/v1/me"},
		{"/api", "http://users", "/api"},
		{"/api/", "http://users", "/api/"},
		{"/api", "http://users/", "/api/"},
		{"/api", "http://users//double", "/api//double"},
		{"", "http://users", "/"},
		{"/api", "http://users/a%2Fb", "/api/a%2Fb"},
		{"", "http://users/a%2Fb", "/a%2Fb"},
		{"/a%2Fb", "http://users/c d", "/a%2Fb/c%20d"},
		{"/api", "http://users/ü?q=1", "/api/%C3%BC?q=1"},
		{"/api?key=k", "http://users/v1", "/api/v1?key=k"},
		{"/api?key=k", "http://users/v1?q=1", "/api/v1?key=k&q=1"},
		{"/api", "http://users/v1?", "/api/v1?"},
	} {
		eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
			b := serve(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host, " ", r.RequestURI) })
			g := group(t, failover.Config[*url.URL]{}, b.URL+row.target)
			client := &http.Client{Transport: failover.Transport(g, b.Client().Transport)}
			resp, err := client.Get(row.request)
			got := text(t, resp, err)
			if want := "200 " + b.Listener.Addr().String() + " " + row.want; got != want {
				t.Errorf("%s at %s: %s, want %s", row.request, row.target, got, want)
			}
		})
	}
}

func TestKeepHost(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		b := serve(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
		for _, row := range []struct {
			keep       bool
			host, want string
		}{
			{false, "", b.Listener.Addr().String()},
			{false, "other", b.Listener.Addr().String()},
			{true, "", "users"},
			{true, "other", "other"},
		} {
			g := group(t, failover.Config[*url.URL]{KeepHost: row.keep}, b.URL)
			req := request(t, http.MethodGet, "http://users/", nil)
			req.Host = row.host
			resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(req)
			if got := text(t, resp, err); got != "200 "+row.want {
				t.Errorf("%+v: %s", row, got)
			}
		}
	})
}

// The name that TLS is asked for is the target's, whatever the request's Host.
func TestServerName(t *testing.T) {
	b := newBackend(t, true, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName, " ", r.Host)
	})
	base := b.Client().Transport.(*http.Transport).Clone()
	base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, b.Listener.Addr().String())
	}
	defer base.CloseIdleConnections()
	for _, keep := range []bool{false, true} {
		g := group(t, failover.Config[*url.URL]{KeepHost: keep}, "https://example.com")
		resp, err := failover.Transport(g, base).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
		want := "200 HTTP/2.0 example.com " + map[bool]string{false: "example.com", true: "users"}[keep]
		if got := text(t, resp, err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	heard := make(chan http.Header, 1)
	page := func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header }
	plain, secure := newBackend(t, false, page), newBackend(t, true, page)
	secrets := []string{"Authorization", "secret", "Cookie", "a=b", "Proxy-Authorization", "secret", "X-Other", "kept"}
	user := func(u string) string { return strings.Replace(u, "://", "://me:word@", 1) }
	for _, row := range []struct {
		scheme, to string
		header     []string
		want       map[string]string
	}{
		{"https", plain.URL, secrets, map[string]string{"X-Other": "kept"}},
		{"https", secure.URL, secrets, map[string]string{"Authorization": "secret", "Cookie": "a=b", "X-Other": "kept", "Proxy-Authorization": "secret"}},
		{"http", plain.URL, secrets, map[string]string{"Authorization": "secret", "Cookie": "a=b", "X-Other": "kept", "Proxy-Authorization": "secret"}},
		{"http", user(plain.URL), nil, map[string]string{"Authorization": "Basic bWU6d29yZA=="}},
		{"http", user(plain.URL), []string{"Authorization", "mine"}, map[string]string{"Authorization": "mine"}},
		{"https", user(plain.URL), []string{"Authorization", "mine"}, map[string]string{"Authorization": "Basic bWU6d29yZA=="}},
		{"http", user(secure.URL), nil, map[string]string{"Authorization": "Basic bWU6d29yZA=="}},
	} {
		g := group(t, failover.Config[*url.URL]{}, row.to)
		req := request(t, http.MethodGet, row.scheme+"://users/", nil, row.header...)
		before := req.Header.Clone()
		resp, err := failover.Transport(g, secure.Client().Transport).RoundTrip(req)
		text(t, resp, err)
		got := <-heard
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Other"} {
			if got.Get(name) != row.want[name] {
				t.Errorf("%s to %s: %s is %q, want %q", row.scheme, row.to, name, got.Get(name), row.want[name])
			}
		}
		if !maps.EqualFunc(before, req.Header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("the request's header is %v now", req.Header)
		}
	}
}

// The request stays what it is, the response is one to it, and what a middleware below writes to one attempt's header is
// not in another's.
func TestRequestIsNotModified(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		bad, good := serve(says(503, "no")), serve(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header["X-Sign"], r.Header["X-Mine"])
		})
		sign := roundTripper(func(r *http.Request) (*http.Response, error) {
			r.Header.Add("X-Sign", r.URL.Host)
			return good.Client().Transport.RoundTrip(r)
		})
		g := group(t, failover.Config[*url.URL]{}, bad.URL+"/a", good.URL+"/b")
		req := request(t, http.MethodPut, "http://users/x?y=z", strings.NewReader("body"), "X-Mine", "1")
		before, at, header, body := *req, *req.URL, req.Header.Clone(), req.Body
		resp, err := failover.Transport(g, sign).RoundTrip(req)
		if got, want := text(t, resp, err), fmt.Sprintf("200 [%s] [1]", good.Listener.Addr()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if resp.Request != req {
			t.Error("the response is one to another request")
		}
		if *req.URL != at || req.URL != before.URL || req.Host != before.Host || fmt.Sprint(req.Header) != fmt.Sprint(header) || req.Body != body || req.Method != before.Method {
			t.Errorf("the request is %+v now", req)
		}
	})
}

// What is repeated, and what is not; all bodies are closed, and each attempt had the whole of its own.
func TestRepeats(t *testing.T) {
	cut := func(w http.ResponseWriter, r *http.Request) { // after the request was read
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	key := []string{"Idempotency-Key", "k"}
	shed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Holdfast-Refused", "yes")
		w.WriteHeader(503)
	}
	leftOver := func(w http.ResponseWriter, _ *http.Request) { // the mark of a refusal, on an answer that is another
		w.Header().Set("Holdfast-Refused", "yes")
		w.WriteHeader(500)
	}
	for _, row := range []struct {
		method  string
		again   bool // it has a GetBody
		header  []string
		page    http.HandlerFunc // of the first target; nil: nobody listens
		repeats bool
	}{
		{"GET", true, nil, says(503, "no"), true},
		{"PUT", true, nil, says(503, "no"), true},
		{"PUT", true, nil, says(500, "no"), true},
		{"PUT", true, nil, says(429, "no"), true},
		{"PUT", true, nil, says(404, "no"), false},
		{"PUT", true, nil, says(501, "no"), false},
		{"PUT", false, nil, says(503, "no"), false},
		{"PUT", true, nil, cut, true},
		{"PUT", false, nil, cut, false},
		{"PUT", true, nil, nil, true},
		{"PUT", false, nil, nil, false},
		{"POST", true, nil, says(503, "no"), false},
		{"POST", true, nil, cut, false},
		{"POST", true, nil, nil, true},
		{"POST", false, nil, nil, false},
		{"POST", true, key, says(503, "no"), true},
		{"POST", true, key, cut, true},
		{"POST", false, key, cut, false},
		{"PATCH", true, nil, says(503, "no"), false},
		{"POST", true, nil, shed, true}, // no work was done
		{"POST", false, nil, shed, false},
		{"POST", true, nil, leftOver, false},
	} {
		t.Run(fmt.Sprint(row.method, row.again, row.header), func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
				good := serve(echoes)
				first := refusing
				if row.page != nil {
					first = serve(row.page).URL
				}
				var a accounts
				g := group(t, failover.Config[*url.URL]{}, first, good.URL)
				body := strings.Repeat("body", 1000)
				req := a.request(t, row.method, "http://users/", body, row.again, row.header...)
				resp, err := failover.Transport(g, good.Client().Transport).RoundTrip(req)
				got := text(t, resp, err)
				if row.repeats != (got == "200 "+body) {
					t.Errorf("%.30s; repeated should be %v", got, row.repeats)
				}
				if n := good.requests.Load(); (n == 1) != row.repeats {
					t.Errorf("%d requests to the second target", n)
				}
				if a.left() != 0 {
					t.Errorf("%d of %d bodies are open", a.left(), a.opened.Load())
				}
				settled(t, g.Snapshot())
			})
		})
	}
}

// What a target refuses because it has no place goes to another one, and is no failure of the target.
func TestTargetsRefusals(t *testing.T) {
	full := newBackend(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Holdfast-Refused", "yes")
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(503)
	})
	good := newBackend(t, false, echoes)
	g := group(t, failover.Config[*url.URL]{ConsecutiveFailures: 2}, full.URL, good.URL)
	client := &http.Client{Transport: failover.Transport(g, full.Client().Transport)}
	const calls = 10
	for range calls {
		resp, err := client.Get("http://users/")
		if got := text(t, resp, err); got != "200 " {
			t.Fatal(got)
		}
	}
	s := g.Snapshot()
	if n := full.requests.Load(); n != calls || s.Targets[0].State != failover.Healthy {
		t.Errorf("%d requests at a target that is %v, want all %d", n, s.Targets[0].State, calls)
	}
	settled(t, s)
}

// RepeatRequest decides what may be sent again after it may have arrived; but not what cannot.
func TestRepeatRequest(t *testing.T) {
	bad, good := newBackend(t, false, says(503, "no")), newBackend(t, false, echoes)
	for _, row := range []struct {
		may, again bool
		want       string
	}{{true, true, "200 x"}, {true, false, "503 no"}, {false, true, "503 no"}} {
		g := group(t, failover.Config[*url.URL]{RepeatRequest: func(*http.Request) bool { return row.may }}, bad.URL, good.URL)
		var a accounts
		resp, err := failover.Transport(g, good.Client().Transport).RoundTrip(a.request(t, "PUT", "http://users/", "x", row.again))
		if got := text(t, resp, err); got != row.want {
			t.Errorf("%+v: %s", row, got)
		}
	}
}

// A response that is dropped costs no connection, with a time limit for each attempt or without.
func TestConnectionsAreUsedAgain(t *testing.T) {
	for name, c := range map[string]failover.Config[*url.URL]{
		"no limit": {ConsecutiveFailures: -1, FailureMargin: -1, Balance: failover.Ordered},
		"limit":    {ConsecutiveFailures: -1, FailureMargin: -1, AttemptTimeout: 1e10},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
				bad, good := serve(says(503, strings.Repeat("no", 1000))), serve(says(200, "yes"))
				g := group(t, c, bad.URL, good.URL)
				rt := failover.Transport(g, good.Client().Transport)
				for range 4 { // after that it is known to be down, yet first
					resp, err := rt.RoundTrip(request(t, http.MethodGet, "http://users/", nil))
					if got := text(t, resp, err); got != "200 yes" {
						t.Error(got)
					}
				}
				if bad.requests.Load() != 4 || bad.connections.Load() != 1 || good.connections.Load() != 1 {
					t.Errorf("%d requests, %d and %d connections", bad.requests.Load(), bad.connections.Load(), good.connections.Load())
				}
			})
		})
	}
}

func TestLastResponse(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *backend) {
		a, b := serve(says(503, "a")), serve(says(502, "b"))
		g := group(t, failover.Config[*url.URL]{AttemptTimeout: 1e10}, a.URL, b.URL)
		req := request(t, http.MethodGet, "http://users/", nil)
		resp, err := failover.Transport(g, a.Client().Transport).RoundTrip(req)
		if got := text(t, resp, err); got != "502 b" || resp.Request != req {
			t.Error(got)
		}
		s := g.Snapshot()
		settled(t, s)
		if s.Failures != 1 || s.Failovers != 1 || s.Targets[1].LastError != "502" {
			t.Errorf("%+v", s)
		}
	})
}

type lateError struct{}

func (lateError) Error() string   { return "late" }
func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return true }

func TestNoResponse(t *testing.T) {
	urls := []string{refusing, refusing, refusing}
	g := group(t, failover.Config[*url.URL]{}, urls...)
	client := &http.Client{Transport: failover.Transport(g, &http.Transport{})}
	_, err := client.Get("http://users/")
	var failed *failover.Error
	var dial *net.OpError
	if !errors.As(err, &failed) || len(failed.Tried) != 3 || !errors.As(failed.Tried[2].Err, &dial) {
		t.Fatal(err)
	}
	for i, tried := range failed.Tried {
		if tried.Target != fmt.Sprint("t", i) || !strings.Contains(err.Error(), tried.Error()) {
			t.Errorf("%v is not in %v", tried, err)
		}
	}
	if e := err.(*url.Error); e.Timeout() {
		t.Error("a refused connection is no timeout")
	}

	g = group(t, failover.Config[*url.URL]{}, urls...)
	client.Transport = failover.Transport(g, roundTripper(func(*http.Request) (*http.Response, error) { return nil, lateError{} }))
	if _, err = client.Get("http://users/"); !err.(*url.Error).Timeout() {
		t.Errorf("%v is a timeout", err)
	}
}

// An error names a single target, too, and why there was no other. It is net/http's own where no other would have mended it,
// and where net/http or its Client look for one bare.
func TestOneTargetsOwnError(t *testing.T) {
	own := errors.New("own")
	base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, own })
	for method, row := range map[string]struct {
		urls []string
		why  error
	}{
		http.MethodGet:  {[]string{"http://a"}, failover.ErrNoTarget},
		http.MethodPost: {[]string{"http://a", "http://b"}, failover.ErrNotRepeatable},
	} {
		g := group(t, failover.Config[*url.URL]{}, row.urls...)
		_, err := failover.Transport(g, base).RoundTrip(request(t, method, "http://users/", nil))
		if !errors.Is(err, own) || !errors.Is(err, row.why) || !strings.Contains(err.Error(), "t0: own") {
			t.Error(err)
		}
	}
	g := group(t, failover.Config[*url.URL]{FailoverIf: func(error) bool { return false }}, "http://a", "http://b")
	if _, err := failover.Transport(g, base).RoundTrip(request(t, http.MethodGet, "http://users/", nil)); err != own {
		t.Error(err)
	}
	alt := roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrSkipAltProtocol })
	g = group(t, failover.Config[*url.URL]{MaxTries: 1}, "http://a", "http://b")
	if _, err := failover.Transport(g, alt).RoundTrip(request(t, http.MethodGet, "http://users/", nil)); err != http.ErrSkipAltProtocol {
		t.Error(err)
	}
	secure := newBackend(t, true, says(200, ""))
	g = group(t, failover.Config[*url.URL]{}, strings.Replace(secure.URL, "https", "http", 1))
	resp, err := failover.Transport(g, &http.Transport{}).RoundTrip(request(t, http.MethodGet, "https://users/", nil))
	if got := text(t, resp, err); !strings.HasPrefix(got, "400") {
		t.Error(got)
	}
	plain := newBackend(t, false, says(200, ""))
	g = group(t, failover.Config[*url.URL]{}, strings.Replace(plain.URL, "http", "https", 1))
	_, err = failover.Transport(g, &http.Transport{}).RoundTrip(request(t, http.MethodGet, "https://users/", nil))
	if _, is := err.(tls.RecordHeaderError); !is && !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("%T %v", err, err)
	}
}

// A nil group and a nil transport let requests pass.
func TestTransportPasses(t *testing.T) {
	b := newBackend(t, false, says(200, "yes"))
	rt := failover.Transport(nil, nil)
	resp, err := rt.RoundTrip(request(t, http.MethodGet, b.URL, nil))
	if got := text(t, resp, err); got != "200 yes" {
		t.Error(got)
	}
	if rt.(interface{ Unwrap() http.RoundTripper }).Unwrap() == nil || !rt.(interface{ Faithful() bool }).Faithful() {
		t.Error("it hides what is underneath")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRedirectsAreHandedOut(t *testing.T) {
	b := newBackend(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere/", http.StatusFound)
	})
	g := group(t, failover.Config[*url.URL]{}, b.URL)
	resp, err := failover.Transport(g, b.Client().Transport).RoundTrip(request(t, http.MethodGet, "http://users/", nil))
	text(t, resp, err)
	if resp.StatusCode != http.StatusFound || b.requests.Load() != 1 || resp.Header.Get("Location") != "http://elsewhere/" {
		t.Errorf("%v after %d requests", resp.Status, b.requests.Load())
	}
}

// Close is passed on, and forwarded.
func TestCloseIdleConnections(t *testing.T) {
	closed := 0
	c := &http.Client{Transport: failover.Transport(nil, closer{&closed})}
	c.CloseIdleConnections()
	if closed != 1 {
		t.Error("not forwarded")
	}
}

type closer struct{ n *int }

func (closer) RoundTrip(*http.Request) (*http.Response, error) { return nil, errDown }
func (c closer) CloseIdleConnections()                         { *c.n++ }
