package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/holdfast-go/holdfast"
)

const document = `
budgets:
  users-db: {ratio: 0.1}

patience: &patience
  max_attempts: 4
  attempt_timeout: 2s
  budget: users-db

stacks:
  users:
    - retry: {<<: *patience, base_delay: 50ms}
    - breaker: {open_for: 7s}
    - bulkhead: {limit: 64}
`

// A stack may be written in YAML, with its anchors: what is decoded is what LoadValue takes.
func TestYAML(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stacks.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(document)
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: file, Decode: func(text []byte) (any, error) {
		var v map[string]any
		err := yaml.Unmarshal(text, &v)
		delete(v, "patience") // there only to be referred to
		return v, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	users, err := r.Stack("users")
	if err != nil {
		t.Fatal(err)
	}
	const want = "users: retry(4, 50ms..5s, 2s each) → breaker(50% of 20 in 10s) → bulkhead(64)"
	if got := users.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	write(strings.Replace(document, "7s", "7 sec", 1))
	if _, err := r.Reload(); err == nil || err.Error() != `stacks.users[1].breaker.open_for: "7 sec": want a duration such as "5s"` {
		t.Error(err)
	}
	write("stacks: [")
	if _, err := r.Reload(); err == nil || !strings.HasPrefix(err.Error(), "the document: yaml: ") {
		t.Error(err)
	}
	if got := users.String(); got != want {
		t.Errorf("%s after bad documents, want %s", got, want)
	}
}
