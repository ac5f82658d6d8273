package main

import (
	"context"
	"encoding/xml"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func short() options {
	o := defaults()
	o.duration = 2 * time.Second
	return o
}

// TestRuns makes both runs for real. Whatever came of the calls, each is accounted for and nothing is left behind.
func TestRuns(t *testing.T) {
	before := runtime.NumGoroutine()
	o := short()
	silent := progress{out: t.Output()}
	builds := map[string]func(*run) (*http.Client, error){
		"bare":     func(r *run) (*http.Client, error) { return &http.Client{Transport: r.bodies}, nil },
		"holdfast": func(r *run) (*http.Client, error) { return guarded(r.bodies, r.changes.add) },
	}
	for name, build := range builds {
		r, err := measure(t.Context(), name, o, silent, build) // an error if a body is left open
		if err != nil {
			t.Fatal(err)
		}
		if want := o.rate; r.total.calls != want {
			t.Errorf("%s: %d calls, want %d", name, r.total.calls, want)
		}
		for i, s := range r.samples {
			if s.calls != o.rate/len(kinds) {
				t.Errorf("%s, %s: %d calls, want a third", name, kinds[i].name, s.calls)
			}
			if len(s.took)+s.shed != s.calls || s.succeeded+s.refused+s.shed > s.calls {
				t.Errorf("%s, %s: calls are missing: %d times, %+v", name, kinds[i].name, len(s.took), s)
			}
			if s.requests == 0 || s.connections == 0 || int(s.requests) < s.succeeded {
				t.Errorf("%s, %s: %d requests over %d connections for %d successes",
					name, kinds[i].name, s.requests, s.connections, s.succeeded)
			}
		}
	}
	noneLeft(t, before)
}

// noneLeft waits for the goroutines of closed connections to notice. If some never do, the test's timeout says which.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for range time.Tick(10 * time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("ended")
		}
	}
}

func TestShow(t *testing.T) {
	var out strings.Builder
	o := short()
	o.svg = t.TempDir()
	if err := show(t.Context(), &out, o, progress{out: &out}); err != nil {
		t.Fatal(err)
	}
	missing(t, out.String(),
		"bursty", "bare      [####", "holdfast  [####", "success", "Under holdfast, ", "The price: ",
		"bulkhead  [####", "  ***  bare\n", "  ooo  with the bulkhead\n", "as a picture: "+filepath.Join(o.svg, "overload.svg"),
		"Bare, the server", "With the bulkhead, the server",
		"both      [####", "  ooo  hedged\n", "as a picture: "+filepath.Join(o.svg, "tail.svg"),
		"Hedged, half of 2000 calls", "The price: the servers got",
		"  +++  small\n", "  ===  large is down\n", "as a picture: "+filepath.Join(o.svg, "traffic.svg"),
		"large is killed\n", "large is ejected for 100ms: 5 failures in a row\n", "large is started again\n", "Under failover, ")
	picture(t, filepath.Join(o.svg, "overload.svg"), "A server that can do")
	picture(t, filepath.Join(o.svg, "tail.svg"), "Three servers, of which one is slow")
	picture(t, filepath.Join(o.svg, "traffic.svg"), "Three servers, of which one is killed")
}

// picture checks that the file is an SVG with a title that begins so.
func picture(t *testing.T, path, title string) {
	t.Helper()
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	var root struct {
		XMLName xml.Name
		Title   string `xml:"title"`
	}
	if err := xml.Unmarshal(svg, &root); err != nil || root.XMLName.Local != "svg" || !strings.HasPrefix(root.Title, title) {
		t.Errorf("%s: %v, <%s> %q", path, err, root.XMLName.Local, root.Title)
	}
}

// missing reports what should be in text, and is not.
func missing(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			t.Errorf("missing %q in\n%s", s, text)
		}
	}
}

// interrupter is Ctrl-C at a word of progress.
type interrupter struct {
	strings.Builder
	at     string
	cancel context.CancelFunc
}

func (w *interrupter) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), w.at) {
		w.cancel()
	}
	return w.Builder.Write(p)
}

// TestInterrupted: what there is by then is printed.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &interrupter{at: "bare ", cancel: cancel}
	if err := show(ctx, out, short(), progress{out: out}); err != nil {
		t.Fatal(err)
	}
	missing(t, out.String(), "Interrupted:", "all three", "Bare, ", "Ended before the first call under holdfast")
	if text := out.String(); strings.Contains(text, "holdfast  [") || strings.Contains(text, "workers") {
		t.Errorf("went on with the second run:\n%s", text)
	}
}
