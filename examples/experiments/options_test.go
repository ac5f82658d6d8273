package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		want options
		errs []string // each on a line of its own
	}{
		{args: ""},
		{args: "-out x", want: options{out: "x"}},
		{args: "-only e9,E16 -out x", want: options{only: []string{"E9", "E16"}, out: "x"}},
		{args: "-only E9", errs: []string{"-only: want -out too"}},
		{args: "-only E2,E17 -nonsense -out " + file + " more", errs: []string{`"E2": want some of E1, E3`, `"E17" is of a package`, "-nonsense", "that is a file", `["more"]`}},
		{args: "-only= -out=", errs: []string{`-only: "": want some of`, "-out: want the name"}},
	} {
		got, err := parse(strings.Fields(test.args), io.Discard)
		if len(test.errs) == 0 && (err != nil || !slices.Equal(got.only, test.want.only) || got.out != test.want.out) {
			t.Errorf("%q: %+v, %v, want %+v", test.args, got, err, test.want)
		}
		for _, want := range test.errs {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", test.args, err, want)
			}
		}
	}
}

func TestHelp(t *testing.T) {
	var usage strings.Builder
	if _, err := parse([]string{"-h"}, &usage); err == nil || !strings.Contains(usage.String(), "-only") {
		t.Errorf("%v, %q", err, usage.String())
	}
}
