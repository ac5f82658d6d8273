package main

import (
	"testing"
	"time"
)

func TestCourse(t *testing.T) {
	c := courseOf(5 * time.Second)
	if c.length() != 5*time.Second || c.calls() != 280+2400+560 {
		t.Errorf("%d calls in %v", c.calls(), c.length())
	}
	tests := []struct {
		call int
		due  time.Duration
	}{
		{0, 0},
		{140, 500 * time.Millisecond},
		{280, time.Second},
		{281, time.Second + time.Second/1200},
		{2679, 3*time.Second - time.Second/1200},
		{2680, 3 * time.Second},
		{3239, 5*time.Second - time.Second/280},
		{3240, 5 * time.Second}, // there is none
	}
	for _, test := range tests {
		if due := c.due(test.call); due < test.due-time.Microsecond || due > test.due+time.Microsecond {
			t.Errorf("call %d: at %v, want %v", test.call, due, test.due)
		}
	}
}

// TestCourseInOrder: at any length no call is due before the one before it, and all are within the run.
func TestCourseInOrder(t *testing.T) {
	for length := time.Second; length <= 10*time.Second; length += 333 * time.Millisecond {
		c := courseOf(length)
		last := time.Duration(0)
		for i := range c.calls() {
			due := c.due(i)
			if due < last || due >= length {
				t.Fatalf("%v: call %d at %v, the one before it at %v", length, i, due, last)
			}
			last = due
		}
		if c.length() != length || c.due(c.calls()) != length {
			t.Errorf("%v: is %v long, and the end is at %v", length, c.length(), c.due(c.calls()))
		}
	}
}

func TestStretches(t *testing.T) {
	c := courseOf(5 * time.Second)
	for reached, want := range map[time.Duration][3]time.Duration{
		0:                       {0, 0, 0},
		500 * time.Millisecond:  {500 * time.Millisecond, 0, 0},
		time.Second:             {time.Second, 0, 0},
		2500 * time.Millisecond: {time.Second, 1500 * time.Millisecond, 0},
		5 * time.Second:         {time.Second, 2 * time.Second, 2 * time.Second},
	} {
		for i, s := range c.stretches(reached) {
			if lived := max(s.to-s.from, 0); lived != want[i] || s.lived() != (lived > 0) {
				t.Errorf("%v: %s went on for %v, want %v", reached, c[i].name, lived, want[i])
			}
		}
	}
}
