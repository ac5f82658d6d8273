package bulkhead_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/holdfast-go/holdfast/bulkhead"
)

func TestHeaderPriority(t *testing.T) {
	if http.CanonicalHeaderKey(bulkhead.PriorityHeader) != bulkhead.PriorityHeader {
		t.Errorf("net/http writes %q in another way", bulkhead.PriorityHeader)
	}
	for _, test := range []struct {
		name  string
		lines []string
		want  bulkhead.Priority // of a request whose context says Sheddable
	}{
		{"none", nil, bulkhead.Sheddable},
		{"no lines", []string{}, bulkhead.Sheddable},
		{"sheddable", []string{"sheddable"}, bulkhead.Sheddable},
		{"normal", []string{"normal"}, bulkhead.Normal},
		{"critical", []string{"critical"}, bulkhead.Critical},
		{"case", []string{"CritiCal"}, bulkhead.Critical},
		{"space", []string{" \tcritical "}, bulkhead.Critical},
		{"two lines: the first", []string{"normal", "critical"}, bulkhead.Normal},
		{"two lines in one", []string{"normal, critical"}, bulkhead.Normal},
		{"the first says nothing of sense", []string{"urgent", "critical"}, bulkhead.Sheddable},
		{"empty", []string{""}, bulkhead.Sheddable},
		{"a number", []string{"1"}, bulkhead.Sheddable},
		{"a number above all", []string{"99999999999999999999"}, bulkhead.Sheddable},
		{"a part", []string{"crit"}, bulkhead.Sheddable},
		{"more", []string{"critical;q=1"}, bulkhead.Sheddable},
		{"letters that only look alike", []string{"critıcal"}, bulkhead.Sheddable},
	} {
		ctx := bulkhead.WithPriority(t.Context(), bulkhead.Sheddable)
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		if test.lines != nil {
			r.Header[bulkhead.PriorityHeader] = test.lines
		}
		if got := bulkhead.HeaderPriority(r); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// The context of the request has the priority that Config.RequestPriority says, by default that of the header, and never
// one beyond the three.
func TestHandlerPriority(t *testing.T) {
	clamp := func(r *http.Request) bulkhead.Priority { return min(bulkhead.HeaderPriority(r), bulkhead.Normal) }
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		for _, test := range []struct {
			name   string
			config func(*http.Request) bulkhead.Priority
			header []string
			want   bulkhead.Priority
		}{
			{"no header", nil, nil, bulkhead.Normal},
			{"critical", nil, []string{"critical"}, bulkhead.Critical},
			{"sheddable", nil, []string{"Sheddable"}, bulkhead.Sheddable},
			{"nonsense", nil, []string{"urgent"}, bulkhead.Normal},
			{"two", nil, []string{"sheddable", "critical"}, bulkhead.Sheddable},
			{"clamped", clamp, []string{"critical"}, bulkhead.Normal},
			{"below the clamp", clamp, []string{"sheddable"}, bulkhead.Sheddable},
			{"not asked", func(*http.Request) bulkhead.Priority { return bulkhead.Critical }, nil, bulkhead.Critical},
			{"above all", func(*http.Request) bulkhead.Priority { return 100 }, nil, bulkhead.Critical},
			{"below all", func(*http.Request) bulkhead.Priority { return -100 }, nil, bulkhead.Sheddable},
		} {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, RequestPriority: test.config})
			got := bulkhead.Priority(50)
			s := serve(bulkhead.Handler(b, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = bulkhead.PriorityFrom(r.Context())
			})).ServeHTTP)
			r := s.request(t, http.MethodGet, "/", nil)
			for _, line := range test.header {
				r.Header.Add(bulkhead.PriorityHeader, line)
			}
			if answer := s.do(r); answer.err != nil || got != test.want {
				t.Errorf("%s: %v, want %v (%v)", test.name, got, test.want, answer.err)
			}
		}
	})
}

// What matters more takes the place in the queue of what matters less.
func TestHandlerPriorityCounts(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Queue: 1})
		s := serve(bulkhead.Handler(b, http.HandlerFunc(served)).ServeHTTP)
		free := taken(t, b)
		answers := map[string]chan reply{"sheddable": make(chan reply, 1), "normal": make(chan reply, 1), "critical": make(chan reply, 1)}
		for i, word := range []string{"sheddable", "normal", "critical"} {
			go func() { answers[word] <- s.get(t, "/", bulkhead.PriorityHeader, word) }()
			await(func() bool { s := b.Snapshot(); return s.Queued == 1 && s.Refused == uint64(i) })
		}
		for _, word := range []string{"sheddable", "normal"} {
			if got := <-answers[word]; got.err != nil || got.StatusCode != 503 || got.after() < 1 {
				t.Errorf("%s: %v, %v", word, got.Response, got.err)
			}
		}
		free()
		if got := <-answers["critical"]; got.err != nil || got.text != "served" {
			t.Errorf("critical: %v, %v", got.Response, got.err)
		}
		if got := s.quiet(t, b, 4).RefusedBy[bulkhead.ReasonPriority]; got != 2 {
			t.Errorf("%d were pushed out", got)
		}
	})
}

// What goes over the wire: the priority that the context was given, if it is not Normal, else what the caller has set.
func TestTransportPriorityHeader(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		var got []string
		s := serve(func(_ http.ResponseWriter, r *http.Request) { got = r.Header[bulkhead.PriorityHeader] })
		rt := bulkhead.Transport(bulkhead.MustNew(bulkhead.Config{Limit: 1}), s.Client().Transport)
		const silent = bulkhead.Priority(50)
		for _, test := range []struct {
			ctx  bulkhead.Priority
			own  []string
			want []string
		}{
			{silent, nil, nil},
			{bulkhead.Normal, nil, nil},
			{bulkhead.Sheddable, nil, []string{"sheddable"}},
			{bulkhead.Critical, nil, []string{"critical"}},
			{100, nil, []string{"critical"}},
			{-100, nil, []string{"sheddable"}},
			{silent, []string{"critical"}, []string{"critical"}},
			{silent, []string{"urgent", "b"}, []string{"urgent", "b"}},
			{bulkhead.Critical, []string{"critical"}, []string{"critical"}},
			{bulkhead.Sheddable, []string{"critical"}, []string{"sheddable"}},
			{bulkhead.Critical, []string{"critical", "sheddable"}, []string{"critical"}},
			{bulkhead.Normal, []string{"critical"}, nil},
			{bulkhead.Normal, []string{"critical", "critical"}, nil},
		} {
			r := s.request(t, http.MethodGet, "/", nil)
			if test.own != nil {
				r.Header[bulkhead.PriorityHeader] = test.own
			}
			if test.ctx != silent {
				r = r.WithContext(bulkhead.WithPriority(r.Context(), test.ctx))
			}
			before := r.Header.Clone()
			resp, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("context %d, header %q: sent %q, want %q", test.ctx, test.own, got, test.want)
			}
			if fmt.Sprint(r.Header) != fmt.Sprint(before) || resp.Request != r {
				t.Errorf("context %d, header %q: the caller's request was modified to %q", test.ctx, test.own, r.Header)
			}
		}
	})
}

// A request without a header map gets one of its own.
func TestTransportPriorityWithoutHeader(t *testing.T) {
	ctx := bulkhead.WithPriority(t.Context(), bulkhead.Critical)
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "host"}}).WithContext(ctx)
	got := ""
	rt := bulkhead.Transport(bulkhead.MustNew(bulkhead.Config{Limit: 1}), roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.Header.Get(bulkhead.PriorityHeader)
		return answering(200)(r)
	}))
	if _, err := rt.RoundTrip(r); err != nil || got != "critical" || r.Header != nil {
		t.Errorf("sent %q, %v; the caller's header is %v", got, err, r.Header)
	}
}

// From hop to hop, also through a reverse proxy, which copies headers: the priority is that of the first, and where one hop
// does not believe it, all further ones are told what that made of it.
func TestPriorityFromHopToHop(t *testing.T) {
	eachProtocol(t, func(t *testing.T, serve func(http.HandlerFunc) *site) {
		var got bulkhead.Priority
		last := serve(bulkhead.Handler(bulkhead.MustNew(bulkhead.Config{Limit: 1}), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = bulkhead.PriorityFrom(r.Context())
		})).ServeHTTP)
		hop := func(to *site, believe func(*http.Request) bulkhead.Priority) *site {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1, RequestPriority: believe})
			target, err := url.Parse(to.URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(target)
			proxy.Transport = bulkhead.Transport(bulkhead.MustNew(bulkhead.Config{Limit: 1}), to.Client().Transport)
			return serve(bulkhead.Handler(b, proxy).ServeHTTP)
		}
		trusting := hop(hop(last, nil), nil)
		edge := hop(trusting, func(*http.Request) bulkhead.Priority { return bulkhead.Normal })
		for word, want := range map[string]bulkhead.Priority{"sheddable": bulkhead.Sheddable, "": bulkhead.Normal, "critical": bulkhead.Critical} {
			if answer := trusting.get(t, "/", bulkhead.PriorityHeader, word); answer.err != nil || answer.StatusCode != 200 || got != want {
				t.Errorf("%q: %v at the end (%v)", word, got, answer.err)
			}
			if answer := edge.get(t, "/", bulkhead.PriorityHeader, word); answer.err != nil || answer.StatusCode != 200 || got != bulkhead.Normal {
				t.Errorf("%q, not believed: %v at the end (%v)", word, got, answer.err)
			}
		}
	})
}
