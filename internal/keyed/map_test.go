package keyed_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/keyed"
)

func TestLeastRecentlyUsedGoes(t *testing.T) {
	var gone []string
	m := keyed.New(keyed.Config[string, string]{
		MaxKeys: 2,
		New:     func(k string) string { return "value of " + k },
		Evicted: func(k, v string) { gone = append(gone, k+": "+v) },
	})
	m.Get("a")
	m.Get("b")
	m.Get("a")
	if v := m.Get("c"); v != "value of c" {
		t.Errorf("Get(c) = %q", v)
	}
	if len(gone) != 1 || gone[0] != "b: value of b" || m.Len() != 2 {
		t.Errorf("gone %q, %d left", gone, m.Len())
	}
}
