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
			folder := t.TempDir()
			if err := drawRush(&out, &pictures{folder}, c, runs[0], runs[1]); err != nil {
				t.Fatal(err)
			}
			rushTable(&out, c, runs[0], runs[1])
			concludeRush(&out, c, runs[0], runs[1])
			got := strings.ReplaceAll(out.String(), filepath.Join(folder, "overload.svg"), "overload.svg")
			golden(t, "testdata/rush_"+name+".txt", got)
			narrow(t, got)
		})
	}
}

func TestRushStory(t *testing.T) {
	var out strings.Builder
	tellRush(&out, courseOf(5*time.Second))
	golden(t, "testdata/rush_story.txt", out.String())
}

func TestWrap(t *testing.T) {
	var out strings.Builder
	wrap(&out, strings.Repeat("123456789 ", 20)+"x")
	want := strings.Repeat("123456789 ", 7) + "123456789\n"
	if want += want + strings.Repeat("123456789 ", 4) + "x\n"; out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
