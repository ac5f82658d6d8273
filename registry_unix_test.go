//go:build unix

package holdfast_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// A Reload, and a Close behind it, would wait for somebody to write to a named pipe.
func TestRegistryOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: path}); err == nil || !strings.Contains(err.Error(), "named pipe: want a file") {
		t.Error(err)
	}
}
