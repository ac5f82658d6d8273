package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rushed is a made-up run of the given course, cut short after some calls, in which they end as ends says.
func rushed(c course, calls, worked, waiting int, ends func(phase, i int) (ending, time.Duration)) *served {
	var all []call
	for i := range calls {
		phase := slices.IndexFunc(c.stretches(c.length()), func(s stretch) bool { return c.due(i) < s.to })
		e, took := ends(phase, i)
		all = append(all, call{e, took, c.due(i) + took})
	}
	r := servedOf(c, all)
	r.worked, r.waiting = worked, waiting
	return r
}

func TestRushReport(t *testing.T) {
	c := courseOf(5 * time.Second)
	ms := time.Millisecond
	bare := rushed(c, c.calls(), 1987, 1249, func(phase, i int) (ending, time.Duration) {
		if phase == calm || phase == overload && i < 330 {
			return succeeded, 11*ms + time.Duration(i)*ms/4
		}
		return failed, 100 * ms
	})
	held := rushed(c, c.calls(), 1641, 0, func(phase, i int) (ending, time.Duration) {
		if i == 2000 {
			return shed, 0
		}
		if phase == overload && i%3 != 0 {
			return refused, 400 * time.Microsecond
		}
		return succeeded, 10*ms + time.Duration(i%40)*ms
	})
	brief := rushed(c, 640, 500, 110, func(phase, i int) (ending, time.Duration) {
		if phase == overload && i%3 != 0 {
			return failed, 100 * ms
		}
		return succeeded, 10 * ms
	})
	early := rushed(c, 100, 100, 0, func(int, int) (ending, time.Duration) { return succeeded, 10 * ms })
	nothing := servedOf(c, nil)
	for name, runs := range map[string][2]*served{
		"both":        {bare, held},
		"worse":       {held, bare},
		"interrupted": {bare, early},
		"early":       {brief, nil},
		"calm":        {early, nil},
		"nothing":     {nothing, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			svg := filepath.Join(t.TempDir(), "overload.svg")
			if err := drawRush(&out, svg, c, runs[0], runs[1]); err != nil {
				t.Fatal(err)
			}
			rushTable(&out, c, runs[0], runs[1])
			concludeRush(&out, c, runs[0], runs[1])
			got := strings.ReplaceAll(out.String(), svg, "overload.svg")
			golden(t, "testdata/rush_"+name+".txt", got)
			for line := range strings.Lines(got) {
				if n := len([]rune(line)); n > 81 {
					t.Errorf("%d columns: %s", n-1, line)
				}
			}
		})
	}
}

func TestRushStory(t *testing.T) {
	var out strings.Builder
	tellRush(&out, courseOf(5*time.Second))
	golden(t, "testdata/rush_story.txt", out.String())
}

// TestWriteSVG: a path that is not to be had is an error, and without one it is a new file.
func TestWriteSVG(t *testing.T) {
	c := courseOf(time.Second)
	r := rushed(c, c.calls(), 0, 0, func(int, int) (ending, time.Duration) { return succeeded, 0 })
	if err := drawRush(t.Output(), t.TempDir(), c, r, nil); err == nil {
		t.Error("a folder was written to as if it were a file")
	}
	t.Setenv("TMPDIR", t.TempDir()) // on Windows it is TMP
	t.Setenv("TMP", t.TempDir())
	var out strings.Builder
	for range 2 {
		if err := drawRush(&out, "", c, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for line := range strings.Lines(out.String()) {
		if path, ok := strings.CutPrefix(line, "The same as a picture: "); ok {
			paths = append(paths, path)
		}
	}
	if len(paths) != 2 || paths[0] == paths[1] {
		t.Errorf("want two files: %q", paths)
	}
}

func TestWrap(t *testing.T) {
	var out strings.Builder
	wrap(&out, strings.Repeat("123456789 ", 20)+"x")
	want := strings.Repeat("123456789 ", 7) + "123456789\n"
	if want += want + strings.Repeat("123456789 ", 4) + "x\n"; out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
