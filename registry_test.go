package holdfast_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

// documentFile is a file with a document; write puts another in its place.
func documentFile(t *testing.T, document string) (path string, write func(string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stacks.json")
	write = func(document string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(document)
	return path, write
}

func registryOf(t *testing.T, document string) *holdfast.Registry {
	t.Helper()
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	applied(t, r, document)
	return r
}

func applied(t *testing.T, r *holdfast.Registry, document string) holdfast.Reload {
	t.Helper()
	e, err := r.Apply([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func stackIn(t *testing.T, r *holdfast.Registry, name string) *holdfast.Stack {
	t.Helper()
	s, err := r.Stack(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegistryReload(t *testing.T) {
	path, write := documentFile(t, `{"stacks": {"users": [{"retry": {"max_attempts": 3}}], "old": []}}`)
	var log bytes.Buffer
	var told []holdfast.Reload
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{
		File:     path,
		OnReload: func(e holdfast.Reload) { told = append(told, e) },
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	users := stackIn(t, r, "users")

	write(`{"stacks": {"users": [{"retry": {"max_attempts": 5}}], "new": [{"breaker": {}}, {"retry": {}}]}}`)
	e, err := r.Reload()
	if err != nil || e.Number != 2 || !slices.Equal(e.Added, []string{"new"}) || !slices.Equal(e.Changed, []string{"users"}) || !slices.Equal(e.Removed, []string{"old"}) {
		t.Errorf("%+v, %v", e, err)
	}
	if len(e.Findings["new"]) == 0 || e.Findings["new"][0].Rule != "breaker-outside-retry" {
		t.Errorf("findings %v, want the breaker outside of the retry", e.Findings)
	}
	if got := users.String(); got != "users: retry(5, 100ms..5s)" || stackIn(t, r, "users") != users {
		t.Errorf("%s, want the new settings in the same stack", got)
	}
	if _, err := r.Stack("old"); err == nil || !strings.Contains(err.Error(), `no stack "old": there are new, users`) {
		t.Error(err)
	}
	var names []string
	for name := range r.All() {
		names = append(names, name)
	}
	if !slices.Equal(names, []string{"new", "users"}) {
		t.Error(names)
	}

	// What cannot work changes nothing, and says why.
	for _, bad := range []string{`{"stacks": {"users": [{"retry": {"max_attempts": 9, "max_delay": "-1s"}}], "x": []}}`, `{"stacks": `} {
		write(bad)
		e, err := r.Reload()
		if err == nil || e.Err == nil || users.String() != "users: retry(5, 100ms..5s)" {
			t.Errorf("%v after a bad document: %v", users, err)
		}
		if _, err := r.Stack("x"); err == nil {
			t.Error("a stack of a bad document")
		}
	}
	os.Remove(path)
	if _, err := r.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v without a file", err)
	}
	if len(told) != 5 || told[4].Number != 5 || told[4].Err == nil {
		t.Errorf("told of %+v", told)
	}
	for _, want := range []string{`level=INFO msg="stacks reloaded" added=[new] changed=[users] removed=[old] budgets=[]`, `level=WARN msg="stack has a finding" stack=new finding="breaker-outside-retry`, `level=ERROR msg="stacks not reloaded" error="stacks.users[0].retry`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, &log)
		}
	}
}

// The state of each policy is kept, whatever else comes, goes, or changes places.
func TestRegistryKeepsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registryOf(t, `{"budgets": {"db": {"capacity": 10, "floor": -1}}, "stacks": {"users": [
			{"retry":   {"max_attempts": 2, "base_delay": "-1s", "budget": "db"}},
			{"breaker": {"consecutive_failures": 3, "failure_ratio": -1, "open_for": "5s"}}
		]}}`)
		users := stackIn(t, r, "users")
		runs := 0
		call := func() error {
			return users.Run(t.Context(), func(context.Context) error { runs++; return errDown })
		}
		call() // two failures, one token

		// The breaker goes outside, a bulkhead comes, the retry's name stays that of the stack.
		applied(t, r, `{"budgets": {"db": {"capacity": 9, "floor": -1}}, "stacks": {"users": [
			{"bulkhead": {"limit": 4}},
			{"breaker":  {"consecutive_failures": 3, "failure_ratio": -1, "open_for": "1h"}},
			{"retry":    {"max_attempts": 4, "base_delay": "-1s", "budget": "db"}}
		]}}`)
		if want := "users: bulkhead(4) → breaker(3 in a row) → retry(4, no delay)"; users.String() != want {
			t.Fatalf("%s, want %s", users, want)
		}
		call() // the third failure, and what three retries cost
		if runs != 6 {
			t.Errorf("%d runs, want 2 and 4", runs)
		}
		if err := call(); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("%v, want a breaker that knows of the failures before the change", err)
		}
		// Back inside, with a short cool-down: that which has begun goes on.
		applied(t, r, `{"stacks": {"users": [{"breaker": {"open_for": "1s"}}]}}`)
		time.Sleep(59 * time.Minute)
		if err := call(); !errors.Is(err, breaker.ErrOpen) || runs != 6 {
			t.Errorf("%v, want an opening that ends as it began", err)
		}
		// Another name is another policy.
		applied(t, r, `{"stacks": {"users": [{"breaker": {"name": "fresh"}}]}}`)
		if err := call(); !errors.Is(err, errDown) {
			t.Errorf("%v from a new breaker", err)
		}
	})
}

// Tokens are kept, and policies of one budget share it, through reloads too.
func TestRegistryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stack = `[{"retry": {"max_attempts": 100, "base_delay": "-1s", "budget": "db"}}]`
		r := registryOf(t, `{"budgets": {"db": {"capacity": 10, "floor": -1}}, "stacks": {"a": `+stack+`}}`)
		runs := 0
		spend := func(name string) int {
			runs = 0
			err := stackIn(t, r, name).Run(t.Context(), func(context.Context) error { runs++; return errDown })
			if !errors.Is(err, retry.ErrBudget) {
				t.Errorf("%s: %v, want a budget that is spent", name, err)
			}
			return runs
		}
		e := applied(t, r, `{"budgets": {"db": {"capacity": 4, "floor": -1}}, "stacks": {"a": `+stack+`, "b": `+stack+`}}`)
		if !slices.Equal(e.Budgets, []string{"db"}) || len(e.Changed) > 0 {
			t.Errorf("%+v, want a change of the budget alone", e)
		}
		if e := applied(t, r, `{"budgets": {"db": {"capacity": 4, "floor": -1}}, "stacks": {"a": `+stack+`, "b": `+stack+`}}`); len(e.Budgets) > 0 {
			t.Errorf("%+v, want no change", e)
		}
		if n := spend("b"); n != 5 {
			t.Errorf("%d runs, want the first and the four that the smaller budget has", n)
		}
		if n := spend("a"); n != 1 {
			t.Errorf("%d runs by the other stack, want the budget to be the same", n)
		}
		applied(t, r, `{"budgets": {"db": {"capacity": 50, "floor": -1}}, "stacks": {"a": `+stack+`}}`)
		if n := spend("a"); n != 1 {
			t.Errorf("%d runs after a reload, want what is spent to stay spent", n)
		}
		applied(t, r, `{"stacks": {}}`)
		applied(t, r, `{"budgets": {"db": {"capacity": 50, "floor": -1}}, "stacks": {"a": `+stack+`}}`)
		if n := spend("a"); n != 1 {
			t.Errorf("%d runs after the budget has come back, want it to be the same", n)
		}
	})
}

// A Handler that is made while a document comes either sees its policies, and panics then, or keeps them out: no request panics.
func TestRegistryHandlerBeside(t *testing.T) {
	for range 200 {
		r := registryOf(t, `{"stacks": {"api": []}}`)
		s := stackIn(t, r, "api")
		var both sync.WaitGroup
		var applyErr error
		var h http.Handler
		both.Go(func() { _, applyErr = r.Apply([]byte(`{"stacks": {"api": [{"retry": {}}]}}`)) })
		both.Go(func() {
			defer func() { recover() }()
			h = s.Handler(http.NotFoundHandler())
		})
		both.Wait()
		if (h != nil) == (applyErr == nil) {
			t.Fatalf("a handler: %v; the document: %v", h != nil, applyErr)
		}
		if h == nil { // the one that came to nothing is in nobody's way
			applied(t, r, `{"stacks": {"api": [{"hedge": {}}]}}`)
			continue
		}
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}

// A stack that has left the document goes on for those who have it, and comes back as itself.
func TestRegistryRemoved(t *testing.T) {
	r := registryOf(t, `{"stacks": {"users": [{"breaker": {"consecutive_failures": 2}}]}}`)
	users := stackIn(t, r, "users")
	down := func(context.Context) error { return errDown }
	users.Run(t.Context(), down)
	applied(t, r, `{"stacks": {}}`)
	users.Run(t.Context(), down)
	if err := users.Run(t.Context(), down); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("%v from a stack that is not in the document any more", err)
	}
	e := applied(t, r, `{"stacks": {"users": [{"breaker": {"consecutive_failures": 2}}]}}`)
	if !slices.Equal(e.Added, []string{"users"}) || stackIn(t, r, "users") != users {
		t.Errorf("%+v", e)
	}
	if err := users.Run(t.Context(), down); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("%v after it has come back", err)
	}
}

// A call that is under way ends by what it began with, also when its policy is gone by then.
func TestRegistryUnderACall(t *testing.T) {
	r := registryOf(t, `{"stacks": {"users": [{"retry": {"max_attempts": 3, "base_delay": "-1s"}}]}}`)
	users := stackIn(t, r, "users")
	for i, to := range []string{`[{"retry": {"max_attempts": 7, "base_delay": "-1s"}}]`, `[]`} {
		runs := 0
		err := users.Run(t.Context(), func(context.Context) error {
			if runs++; runs == 1 {
				applied(t, r, `{"stacks": {"users": `+to+`}}`)
			}
			return errDown
		})
		if want := []int{3, 7}[i]; runs != want || !errors.Is(err, retry.ErrAttempts) {
			t.Errorf("%d runs, %v, want %d", runs, err, want)
		}
	}
}

// Whoever has the stack, or made something of it, follows.
func TestRegistryDoors(t *testing.T) {
	const once, twice = `{"stacks": {"s": []}}`, `{"stacks": {"s": [{"retry": {"max_attempts": 2, "base_delay": "-1s"}}]}}`
	r := registryOf(t, once)
	s := stackIn(t, r, "s")
	inner := holdfast.MustStack(holdfast.MustStack(s)).Named("outer")
	runs := 0
	fn := func(context.Context) (int, error) { runs++; return runs, errDown }
	wrapped := holdfast.Wrap(s, func(ctx context.Context, _ string) (int, error) { return fn(ctx) })
	rt := s.Transport(roundTripper(func(*http.Request) (*http.Response, error) { runs++; return nil, errDown }))
	of := inner.Transport(roundTripper(func(*http.Request) (*http.Response, error) { runs++; return nil, errDown }))
	doors := map[string]func(){
		"Do":               func() { holdfast.Do(t.Context(), s, fn) },
		"DoDiscard":        func() { holdfast.DoDiscard(t.Context(), s, fn, nil) },
		"Wrap":             func() { wrapped(t.Context(), "") },
		"Run":              func() { s.Run(t.Context(), func(ctx context.Context) error { _, err := fn(ctx); return err }) },
		"Transport":        func() { attempt(t, rt) },
		"inner, Do":        func() { holdfast.Do(t.Context(), inner, fn) },
		"inner, Transport": func() { attempt(t, of) },
	}
	for name, call := range doors {
		for i, document := range []string{once, twice, once} {
			applied(t, r, document)
			runs = 0
			if call(); runs != []int{1, 2, 1}[i] {
				t.Errorf("%s: %d runs by document %d", name, runs, i+1)
			}
		}
	}
	applied(t, r, twice)
	if got, want := inner.String(), "outer: retry(2, no delay)"; got != want || inner.Describe().Calls != 2 || s.Describe().Calls != 2 {
		t.Errorf("%s, %+v, want %s", got, inner.Describe(), want)
	}
	if named := s.Named("n"); named.String() != "n: retry(2, no delay)" || len(s.For(holdfast.Traffic{NotIdempotent: true}).Check()) != 1 {
		t.Error(named, s.For(holdfast.Traffic{NotIdempotent: true}).Check())
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func attempt(t *testing.T, rt http.RoundTripper) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://service.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := rt.RoundTrip(req); err == nil {
		resp.Body.Close()
	}
}

// A stack around a handler follows too, and takes no document by which it would answer twice.
func TestRegistryHandler(t *testing.T) {
	r := registryOf(t, `{"stacks": {"api": []}}`)
	s := stackIn(t, r, "api")
	server := httptest.NewServer(holdfast.MustStack(s).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })))
	defer server.Close()
	status := func() int {
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := status(); got != 200 {
		t.Error(got)
	}
	applied(t, r, `{"stacks": {"api": [{"bulkhead": {"limit": 1, "rate": 0.001, "burst": 1}}]}}`)
	if a, b := status(), status(); a != 200 || b != 429 {
		t.Errorf("%d, %d, want one call by the new rate", a, b)
	}
	_, err := r.Apply([]byte(`{"stacks": {"api": [{"retry": {}}, {"hedge": {}}]}}`))
	if err == nil || !strings.Contains(err.Error(), "stacks.api[0].retry: want none") || !strings.Contains(err.Error(), "stacks.api[1].hedge: want none") {
		t.Error(err)
	}
	applied(t, r, `{"stacks": {"api": []}}`)
	if got := status(); got != 200 {
		t.Error(got)
	}
}

func TestRegistrySetup(t *testing.T) {
	var seen []string
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{Setup: holdfast.Setup{
		Retry: func(stack string, c *retry.Config) {
			seen = append(seen, fmt.Sprint(stack, c.MaxAttempts))
			c.RetryIf = func(error) bool { return false }
		},
		Breaker: func(_ string, c *breaker.Config) { c.FailureRatio = 7 },
	}})
	if err != nil {
		t.Fatal(err)
	}
	applied(t, r, `{"stacks": {"a": [{"retry": {"max_attempts": 5}}]}}`)
	runs := 0
	stackIn(t, r, "a").Run(t.Context(), func(context.Context) error { runs++; return errDown })
	if runs != 1 || !slices.Equal(seen, []string{"a5"}) {
		t.Errorf("%d runs, seen %v", runs, seen)
	}
	if _, err := r.Apply([]byte(`{"stacks": {"a": [{"breaker": {}}]}}`)); err == nil || !strings.Contains(err.Error(), "stacks.a[0].breaker: breaker.Config.FailureRatio: 7") {
		t.Errorf("%v, want the fault of what Setup made", err)
	}
}

func TestRegistryDecode(t *testing.T) {
	path, write := documentFile(t, "users 4")
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: path, Decode: func(text []byte) (any, error) {
		name, attempts, ok := strings.Cut(string(text), " ")
		if !ok {
			return nil, errors.New("want a name and a number")
		}
		return map[string]any{"stacks": map[string]any{name: []any{map[string]any{"retry": map[string]any{"max_attempts": json.Number(attempts)}}}}}, nil
	}})
	if err != nil || stackIn(t, r, "users").String() != "users: retry(4, 100ms..5s)" {
		t.Fatal(err)
	}
	write("users")
	if _, err := r.Reload(); err == nil || err.Error() != "the document: want a name and a number" {
		t.Error(err)
	}
}

func TestRegistryBad(t *testing.T) {
	if _, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	r := registryOf(t, `{"stacks": {}}`)
	if _, err := r.Reload(); err == nil || !strings.Contains(err.Error(), "want the path of a document") {
		t.Error(err)
	}
	if _, err := r.Stack("a"); err == nil || !strings.Contains(err.Error(), "there are none") {
		t.Error(err)
	}
	path, _ := documentFile(t, strings.Repeat(" ", 17<<20))
	if _, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: path}); err == nil || !strings.Contains(err.Error(), "more than 16 MiB") {
		t.Error(err)
	}
	r.Close()
	r.Close()
	r.ReloadOn()
	if _, err := r.Apply([]byte(`{"stacks": {}}`)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

// Calls, reloads and looks beside each other. Each call is whole: it meets policies of one document, whichever.
func TestRegistryBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls, reloaders, reloads = 64, 50, 4, 50
		r := registryOf(t, `{"stacks": {"a": []}}`)
		documents := []string{
			`{"stacks": {"a": []}}`,
			`{"budgets": {"b": {}}, "stacks": {"a": [{"retry": {"base_delay": "1ms", "budget": "b"}}, {"bulkhead": {"limit": 8, "queue": 100}}]}}`,
			`{"budgets": {"b": {"ratio": 0.5}}, "stacks": {"a": [{"bulkhead": {"limit": 16, "queue": 100}}, {"retry": {"max_attempts": 5, "base_delay": "2ms", "budget": "b"}}]}}`,
			`{"stacks": {"a": [{"hedge": {"delay": "2ms"}}, {"breaker": {"failure_ratio": -1, "consecutive_failures": -1}}, {"bulkhead": {"limit": 4, "queue": 100}}]}}`,
			`{"stacks": {"a": [{"failover": {"targets": [{"name": "x", "url": "http://x"}, {"name": "y", "url": "http://y"}]}}]}}`,
			`{"stacks": {"a": [{"retry": {"max_attempts": -7, "max_delay": "-1s"}}]}}`,
		}
		var all sync.WaitGroup
		var done, bad atomic.Int64
		for i := range callers {
			all.Go(func() {
				s := stackIn(t, r, "a")
				for j := range calls {
					got, err := holdfast.Do(t.Context(), s, func(context.Context) (int, error) {
						time.Sleep(time.Duration(j%3) * time.Millisecond)
						return i, nil
					})
					switch {
					case err == nil && got == i:
						done.Add(1)
					case !errors.Is(err, bulkhead.ErrFull): // the small ones may refuse
						t.Errorf("%d, %v, want %d", got, err, i)
					}
				}
			})
		}
		for i := range reloaders {
			all.Go(func() {
				for j := range reloads {
					if _, err := r.Apply([]byte(documents[(i+j)%len(documents)])); err != nil {
						bad.Add(1)
					}
					_ = stackIn(t, r, "a").String()
					time.Sleep(time.Millisecond)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second) // attempts of a hedge that lost may still be asleep
		if got := done.Load(); got < callers*calls/2 {
			t.Errorf("%d of %d calls succeeded", got, callers*calls)
		}
		want := int64(0)
		for i := range reloaders {
			for j := range reloads {
				if (i+j)%len(documents) == len(documents)-1 {
					want++
				}
			}
		}
		if got := bad.Load(); got != want {
			t.Errorf("%d reloads failed, want %d: those of the one bad document", got, want)
		}
	})
}
