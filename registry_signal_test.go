//go:build unix

package holdfast_test

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast"
)

func TestRegistryOnSignal(t *testing.T) {
	path, write := documentFile(t, `{"stacks": {"a": []}}`)
	told := make(chan holdfast.Reload, 8)
	r, err := holdfast.NewRegistry(holdfast.RegistryConfig{File: path, OnReload: func(e holdfast.Reload) { told <- e }})
	if err != nil {
		t.Fatal(err)
	}
	<-told
	r.ReloadOn(syscall.SIGUSR1)
	r.ReloadOn(syscall.SIGUSR2) // one more
	for i, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		write(fmt.Sprintf(`{"stacks": {"a": [{"bulkhead": {"limit": %d}}]}}`, i+1))
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		if e := <-told; e.Err != nil || !slices.Equal(e.Changed, []string{"a"}) {
			t.Errorf("%+v", e)
		}
	}
	r.Close()
}
