package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	if o, err := parse(nil, io.Discard); err != nil || o != defaults() {
		t.Errorf("no flags: %+v, %v", o, err)
	}
	const name = "retry-breaker-bulkhead-hedge-failover/client-panic"
	o, err := parse([]string{"-duration", "90s", "-seed=7", "-late", "1s", "-at-once", "3", "-only", name}, io.Discard)
	if want := (options{90 * time.Second, 7, time.Second, 3, name}); err != nil || o != want {
		t.Errorf("got %+v, %v, want %+v", o, err, want)
	}
}

// TestParseFaults: all that is wrong is in one error.
func TestParseFaults(t *testing.T) {
	_, err := parse([]string{
		"-duration", "10ms", "-seed", "-1", "-late", "soon", "-at-once", "0", "-only", "nobody", "-speed", "9",
	}, io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`-duration "10ms": want a time from 1s to 24h`, `-seed "-1": want a number, not negative`, `-late "soon": want a time from 1ms to 1m`,
		`-at-once "0": want a number from 1 to 256`, `-only "nobody": want a part of the name of a combination`, "-speed",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
	if _, err := parse([]string{"60s"}, io.Discard); err == nil || !strings.Contains(err.Error(), `["60s"]: want flags only`) {
		t.Errorf("got %v", err)
	}
}

func TestParseHelp(t *testing.T) {
	var usage strings.Builder
	if _, err := parse([]string{"-h"}, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"-duration", "-seed", "-late", "-at-once", "-only", "network-black-hole"} {
		if !strings.Contains(usage.String(), want) {
			t.Errorf("missing %q in\n%s", want, usage.String())
		}
	}
}
