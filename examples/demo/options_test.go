package main

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct {
		args string
		want func(*options)
		err  []string // a line for each
	}{
		{"", func(*options) {}, nil},
		{
			"-duration 4s -rate 50 -concurrency 9 -deadline 300ms -seed 7 -svg testdata",
			func(o *options) { *o = options{4 * time.Second, 50, 9, 300 * time.Millisecond, 7, "testdata"} },
			nil,
		},
		{"-duration=10m", func(o *options) { o.duration = 10 * time.Minute }, nil},
		{"-duration 999ms", nil, []string{`-duration "999ms": want a time from 1s to 10m (default 20s)`}},
		{"-rate 2", nil, []string{`-rate "2": want a number from 3 to 3000 (default 300)`}},
		{"-rate 3001", nil, []string{`-rate "3001": want`}},
		{"-concurrency 0", nil, []string{`-concurrency "0": want a number from 1 to 10000`}},
		{"-deadline 1h", nil, []string{`-deadline "1h": want a time from 100ms to 10s`}},
		{"-seed -1", nil, []string{`-seed "-1": want a number, not negative`}},
		{"-svg=", nil, []string{`-svg "": want a folder that there is`}},
		{"-svg none", nil, []string{`-svg "none": want a folder that there is`}},
		{"-svg main.go", nil, []string{`-svg "main.go": want a folder that there is`}},
		{"-rate", nil, []string{"flag needs an argument: -rate"}},
		{"fast", nil, []string{`["fast"]: want flags only`}},
		{"---rate", nil, []string{"bad flag syntax: ---rate"}},
		{
			"-duration soon -fast -rate many -seed 1.5 x y",
			nil,
			[]string{
				`-duration "soon": want`, `-rate "many": want`, `-seed "1.5": want`,
				"not defined: -fast", `["x" "y"]: want flags only`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			got, err := parse(strings.Fields(test.args), t.Output())
			if test.err == nil {
				want := defaults()
				test.want(&want)
				if err != nil || got != want {
					t.Fatalf("got %+v, %v; want %+v", got, err, want)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) < len(test.err) {
				t.Errorf("%d lines, want %d:\n%v", len(lines), len(test.err), err)
			}
			for _, want := range test.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("missing %q in:\n%v", want, err)
				}
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := parse([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp", err)
	}
	for _, name := range []string{"-duration", "-rate", "-concurrency", "-deadline", "-seed", "-svg"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("%s is not explained:\n%s", name, out.String())
		}
	}
}

// TestTimes: the overload takes half as long as the runs with failing servers, the tail a quarter, the outage two fifths, within
// bounds.
func TestTimes(t *testing.T) {
	for duration, want := range map[time.Duration][3]time.Duration{
		time.Second:      {2 * time.Second, 2 * time.Second, 2 * time.Second},
		4 * time.Second:  {2 * time.Second, 2 * time.Second, 2 * time.Second},
		5 * time.Second:  {2500 * time.Millisecond, 2 * time.Second, 2 * time.Second},
		20 * time.Second: {10 * time.Second, 5 * time.Second, 8 * time.Second},
		10 * time.Minute: {20 * time.Second, 20 * time.Second, 20 * time.Second},
	} {
		o := options{duration: duration}
		if got := [3]time.Duration{o.rush(), o.tail(), o.outage()}; got != want {
			t.Errorf("%v beside %v, want %v", got, duration, want)
		}
	}
}
