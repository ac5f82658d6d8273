package main

import (
	"slices"
	"testing"
)

func TestOrders(t *testing.T) {
	seen := make(map[string]bool)
	for _, order := range orders {
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, slices.Sorted(slices.Values(kinds))) {
			t.Errorf("%q has not each policy once", order)
		}
		seen[combination{order: order, fault: &faults[0]}.String()] = true
	}
	if len(orders) != 120 || len(seen) != 120 {
		t.Errorf("%d orders, of which %d differ; want 120", len(orders), len(seen))
	}
}

// TestPlan: each pass has each combination once. The same seed makes the same plan, another one another.
func TestPlan(t *testing.T) {
	p, same, other := newPlan(7, ""), newPlan(7, ""), newPlan(8, "")
	all, differ := len(combinations()), 0
	if all != 120*len(faults) {
		t.Fatalf("%d combinations of %d faults", all, len(faults))
	}
	var first []string
	for pass := range 2 {
		seen := make(map[string]bool)
		var order []string
		for range all {
			c := p.next()
			if c.pass != pass || seen[c.String()] {
				t.Fatalf("%v in pass %d, want it once in pass %d", c, c.pass, pass)
			}
			seen[c.String()] = true
			order = append(order, c.String())
			if again := same.next(); again.String() != c.String() || again.pass != c.pass || again.number != c.number {
				t.Fatalf("%v after %v, of one seed", again, c)
			}
			if other.next().String() != c.String() {
				differ++
			}
		}
		if pass == 0 {
			first = order
		} else if slices.Equal(first, order) {
			t.Error("the second pass is in the order of the first")
		}
	}
	if differ < all {
		t.Errorf("two seeds differ in %d places of %d", differ, 2*all)
	}
}

func TestMatching(t *testing.T) {
	for part, want := range map[string]int{
		"": 120 * len(faults), "/none": 120, "nobody": 0, "hedge-": 96 * len(faults), "/client-latency": 360,
		"retry-breaker-bulkhead-hedge-failover/client-latency": 1, "retry-breaker-bulkhead-hedge-failover": len(faults),
	} {
		if all := matching(part); len(all) != want {
			t.Errorf("%q: %d combinations, want %d", part, len(all), want)
		}
	}
}

// TestDraw: a combination draws the same settings and calls each time, another pass others.
func TestDraw(t *testing.T) {
	draw := func(c combination, seed uint64) (calls []planned) {
		r := c.random(seed)
		if _, err := drawSettings(r, c.order); err != nil {
			t.Fatal(err)
		}
		for _, made := range drawCalls(r, doors) {
			calls = append(calls, made.planned)
		}
		return calls
	}
	c := combinations()[1234]
	again := c
	again.pass++
	if !slices.Equal(draw(c, 3), draw(c, 3)) {
		t.Error("the same combination has drawn something else")
	}
	if slices.Equal(draw(c, 3), draw(again, 3)) || slices.Equal(draw(c, 3), draw(c, 4)) {
		t.Error("another pass, or another seed, has drawn the same")
	}
}

// TestSettings: all that is drawn makes a stack.
func TestSettings(t *testing.T) {
	at := &site{}
	for range backendsOfSite {
		at.urls = append(at.urls, service)
	}
	for i, c := range combinations() {
		if c.pass = i; i%7 == 0 { // each order several times, with settings of its own
			if _, err := newWorld(c, 1, at); err != nil {
				t.Errorf("%v: %v", c, err)
			}
		}
	}
}
