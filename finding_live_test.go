package holdfast_test

import (
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/retry"
)

// What a stack is for does not keep the stacks of a Registry in it from being reloaded.
func TestForKeepsWhatIsLive(t *testing.T) {
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(document string) {
		t.Helper()
		if _, err := r.Apply([]byte(document)); err != nil {
			t.Fatal(err)
		}
	}
	apply(`{"stacks": {"users": [{"bulkhead": {"limit": 4}}]}}`)
	users := stackIn(t, r, "users")
	s := holdfast.MustStack(retries(retry.Config{}), users).For(holdfast.Traffic{NotIdempotent: true})
	at := users.For(holdfast.Traffic{NotIdempotent: true})

	apply(`{"stacks": {"users": [{"breaker": {}}, {"retry": {"max_attempts": 2}}]}}`)
	if got, want := s.String(), "retry(3, no delay) → breaker(50% of 20 in 10s) → retry(2, 100ms..5s)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	n := 0
	for _, f := range s.Check() {
		if f.Rule == "twice-what-must-not" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d findings of what must not be done twice, want 2: %v", n, s.Check())
	}
	if got := at.String(); got != "users: bulkhead(4)" { // as documented: it is a stack of its own
		t.Error(got)
	}
}
