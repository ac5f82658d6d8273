package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// A context that is printed, as some logs do, tells no secret; nor does a Config, or an Injector.
func TestSecretIsNotPrinted(t *testing.T) {
	const secret = "s3cret"
	c := chaos.Config{Name: "users", Secret: secret, Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 1}}}
	in := chaos.MustNew(c)
	ctx := chaos.WithSecret(t.Context(), secret)
	for _, v := range []any{ctx, c, &c, in, request(t, ctx, http.MethodGet, "http://users/", nil).Context()} {
		for _, form := range []string{"%v", "%+v", "%s"} {
			if text := fmt.Sprintf(form, v); strings.Contains(text, secret) {
				t.Errorf("%s of a %T: %s", form, v, text)
			}
		}
	}
	if got, want := fmt.Sprint(c), `{"name":"users","faults":[{"kind":"error","rate":1}]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	off := fmt.Sprint(in)
	in.Enable()
	defer in.Disable()
	if got := off + ", " + fmt.Sprint(in); got != "chaos users (off), chaos users (on)" {
		t.Error(got)
	}
	if _, err := chaos.Do(ctx, in, hello); err == nil {
		t.Error("the secret no longer works")
	}
}

// What is wrong with a secret is said without it; what is wrong with faults, in words of the document.
func TestConfigJSONWords(t *testing.T) {
	for doc, want := range map[string]string{
		`{"secret":["s3cret"]}`:             "secret: want a string",
		`{"secret":12345}`:                  "secret: want a string",
		`{"faults":{}}`:                     "faults: want a list of faults",
		`{"faults":"error","secret":false}`: "faults: want a list of faults\nsecret: want a string",
	} {
		c := chaos.Config{Secret: "before"}
		if err := json.Unmarshal([]byte(doc), &c); err == nil || err.Error() != want || c.Secret != "before" {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
	c := chaos.Config{Secret: "before"}
	if err := json.Unmarshal([]byte(`{"secret":null,"faults":null}`), &c); err != nil || c.Secret != "" {
		t.Errorf("%v, %q", err, c.Secret)
	}
}

// The secret that a Handler was given goes no further than that; any other header does, and the outside sees what there was.
func TestHandlerKeepsTheSecret(t *testing.T) {
	for _, test := range []struct{ secret, given, want string }{{"s3cret", "s3cret", ""}, {"s3cret", "other", "other"}, {"", "s3cret", "s3cret"}, {"", "", ""}} {
		in := chaos.MustNew(chaos.Config{Secret: test.secret, Faults: []chaos.Fault{{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 1 << 40}}})
		in.Enable()
		h := chaos.Handler(in, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get(chaos.Header); got != test.want || r.Header.Get("Accept") != "all" {
				t.Errorf("%v: %q under the handler", test, got)
			}
			r.Header.Set("Seen", "yes")
		}))
		r := request(t, t.Context(), http.MethodGet, "http://users/", nil)
		r.Header.Set(chaos.Header, test.given)
		r.Header.Set("Accept", "all")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got := r.Header.Get(chaos.Header); got != test.given {
			t.Errorf("%v: %q outside", test, got)
		}
		if seen := r.Header.Get("Seen") != ""; seen == (test.want != test.given) {
			t.Errorf("%v: only where something was taken away it is another header; seen: %v", test, seen)
		}
		in.Disable()
	}
}

// A writer that cannot flush is slow all the same.
func TestHandlerSlowWithoutFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.Slow, Rate: 1, BytesPerSecond: 100})
		rec := httptest.NewRecorder()
		start := time.Now()
		h := chaos.Handler(in, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.Write([]byte(text(1000))); n != 1000 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}))
		h.ServeHTTP(struct{ http.ResponseWriter }{rec}, request(t, t.Context(), http.MethodGet, "http://users/", nil))
		if rec.Body.String() != text(1000) || time.Since(start) != 10*time.Second {
			t.Errorf("%d bytes after %v", rec.Body.Len(), time.Since(start))
		}
	})
}

// A client that is still sending gets as much of the answer as one that is not, and finds it cut, not reset.
func TestHandlerTruncatesWhileBodyIsSent(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		in := on(t, chaos.Fault{Kind: chaos.Truncate, Rate: 1, Bytes: 5000})
		s := serve(t, h2, chaos.Handler(in, page(text(20_000))))
		for range 20 {
			status, body, err := do(s.Client(), request(t, t.Context(), http.MethodPost, s.URL, strings.NewReader(text(300_000))))
			if status != http.StatusOK || body != text(5000) || err == nil || errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("%d, %d bytes, %v", status, len(body), err)
			}
		}
	})
}

// What arrives while Reads fail is not lost: a fault that ends leaves no hole in what is read.
func TestConnFailureLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1, Err: errBoom, Schedule: chaos.Schedule{From: time.Minute, Until: 2 * time.Minute}})
		near, far := net.Pipe()
		c := chaos.Conn(in, near)
		defer c.Close()
		time.AfterFunc(time.Minute+time.Second, func() { push(far, "hello") })
		p := make([]byte, 3)
		for range 3 { // the first began before the fault did
			if n, err := c.Read(p); n != 0 || err != errBoom {
				t.Errorf("%d, %v: want the fault", n, err)
			}
		}
		time.AfterFunc(time.Minute, func() { push(far, " again") })
		time.Sleep(time.Minute)
		if got, err := read(c, 11); got != "hello again" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// There is a rest after one that Close has put back, too.
func TestMonkeyRestsAcrossStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZoo("a", "b", "c")
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{Members: z.members, TakeOut: z.takeOut, Every: time.Second, OutFor: time.Minute, Rest: time.Hour})
		for range 20 {
			m.Start()
			time.Sleep(10 * time.Minute)
			m.Close()
		}
		var back time.Time
		for _, e := range z.events() {
			if !e.back && !back.IsZero() && e.at.Sub(back) < time.Hour {
				t.Errorf("%s is taken out %v after the one before is back", e.name, e.at.Sub(back))
			}
			if e.back {
				back = e.at
			}
		}
		if n := len(z.events()); n < 4 {
			t.Errorf("%d events", n)
		}
	})
}

// A Window that closes while the members are asked for is closed.
func TestMonkeyWindowClosesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight
		z := newZoo("a", "b", "c")
		slow := func() []string {
			time.Sleep(2 * time.Hour)
			return z.members()
		}
		m := chaos.MustNewMonkey(chaos.MonkeyConfig{
			Members: slow, TakeOut: z.takeOut, Every: time.Hour, OutFor: time.Minute, Window: chaos.Window{From: 9 * time.Hour, Until: 12 * time.Hour},
		})
		m.Start()
		time.Sleep(30 * 24 * time.Hour)
		m.Close()
		for _, e := range z.events() {
			if hour := e.at.UTC().Hour(); !e.back && (hour < 9 || hour >= 12) {
				t.Errorf("%s is taken out at %v", e.name, e.at)
			}
		}
		if s := m.Snapshot(); s.Taken == 0 || s.Skipped == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The calls under a key are counted anew in each run, however many there were, and whoever else counts them.
func TestKeyInManyRuns(t *testing.T) {
	in := chaos.MustNew(chaos.Config{Seed: 3, Faults: []chaos.Fault{{Kind: chaos.Failure, Rate: 0.5}}})
	ctx := chaos.WithKey(context.Background(), "user 7")
	var want string
	other := on(t, chaos.Fault{Kind: chaos.Failure, Rate: 1})
	for run := range 50 {
		in.Enable()
		var got string
		for i := range 20 {
			if run == 1 && i == 10 {
				_, _ = chaos.Do(ctx, other, hello)
			}
			_, err := chaos.Do(ctx, in, hello)
			got += fmt.Sprint(err == nil, " ")
		}
		in.Disable()
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}
