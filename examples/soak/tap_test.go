package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// TestTap: each call is counted once, by how it ended, in both doors; while it runs it is under way.
func TestTap(t *testing.T) {
	odd := errors.New("odd")
	ways := []func() error{
		func() error { return nil },
		func() error { return odd },
		func() error { panic("odd") },
	}
	doors := map[string]func(*tap, func() error){
		"Run": func(p *tap, way func() error) {
			_ = p.Run(context.Background(), func(context.Context) error { return way() })
		},
		"Transport": func(p *tap, way func() error) {
			next := transport(func(*http.Request) (*http.Response, error) { return nil, way() })
			_, _ = p.Transport(next).RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
		},
	}
	for name, door := range doors {
		p := &tap{}
		for how, way := range ways {
			func() {
				defer func() { _ = recover() }()
				door(p, func() error {
					if n := p.running.Load(); n != 1 {
						t.Errorf("%s: %d calls are under way, want 1", name, n)
					}
					return way()
				})
			}()
			if n := p.ended[how].Load(); n != 1 || p.calls() != uint64(how)+1 || p.running.Load() != 0 {
				t.Errorf("%s: %d calls ended in way %d, of %d; %d are under way", name, n, how, p.calls(), p.running.Load())
			}
		}
	}
}

// TestTapCounts: what a policy has no hand in is no call of its.
func TestTapCounts(t *testing.T) {
	p := &tap{counts: hedgeable}
	rt := p.Transport(transport(func(*http.Request) (*http.Response, error) { return nil, nil }))
	_, _ = rt.RoundTrip(httptest.NewRequest(http.MethodPost, "/", nil))
	if n := p.calls(); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
	_, _ = rt.RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
	if n := p.calls(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// TestLedger: what is closed twice is closed once, and no body is none.
func TestLedger(t *testing.T) {
	var l ledger
	resp := &http.Response{Body: io.NopCloser(strings.NewReader("x"))}
	b := &bodies{&l, transport(func(*http.Request) (*http.Response, error) { return resp, nil })}
	first, _ := b.RoundTrip(nil)
	if l.open() != 1 {
		t.Errorf("%d are open, want 1", l.open())
	}
	first.Body.Close()
	first.Body.Close()
	if l.open() != 0 {
		t.Errorf("%d are open, want none", l.open())
	}
	resp.Body = http.NoBody
	if none, _ := b.RoundTrip(nil); none.Body != http.NoBody || l.open() != 0 {
		t.Errorf("%v, and %d are open; want http.NoBody as it is", none.Body, l.open())
	}
}

// TestDialer: a connection is open from when it is being made, unless nothing comes of it.
func TestDialer(t *testing.T) {
	at, err := openSite()
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	host := at.urls[0].Host
	d := &dialer{ledger: &ledger{}}
	c, err := d.DialContext(t.Context(), "tcp", host)
	if err != nil || d.open() != 1 {
		t.Fatalf("%v, and %d are open, want 1", err, d.open())
	}
	c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.DialContext(ctx, "tcp", host); err == nil || d.open() != 0 {
		t.Errorf("%v, and %d are open, want an error and none", err, d.open())
	}
}
