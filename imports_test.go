package holdfast_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "github.com/holdfast-go/holdfast"

// policies are the packages that never import each other, in the order in which they come to be.
var policies = []string{"retry", "breaker", "bulkhead", "hedge", "failover"}

// libraries are the modules that holdfast itself may import. OpenTelemetry's API, one of the four
// libraries, is three modules. What these pull in is their own affair.
var libraries = []string{
	"github.com/cenkalti/backoff/v4",
	"github.com/sony/gobreaker/v2",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/trace",
	"golang.org/x/time",
}

// testLibraries are the modules that only tests may import.
var testLibraries = []string{
	"go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/otel/sdk/metric",
}

// listed is a package as "go list -deps -json" has it.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

// module is the path of the module that p belongs to; empty for the standard library.
func (p listed) module() string {
	if p.Standard || p.Module == nil {
		return ""
	}
	return p.Module.Path
}

// TestImports keeps users' module graph small, and each policy usable without the others.
func TestImports(t *testing.T) {
	watchSources(t)
	packages := packagesOf(t)
	for _, name := range append(slices.Clone(policies), "chaos", "internal/httpx") {
		if _, ok := packages[root+"/"+name]; !ok {
			t.Errorf("%s is not among the packages listed: was it renamed, and its rule lost?", name)
		}
	}
	for _, fault := range importFaults(packages) {
		t.Error(fault)
	}
}

// TestRequirements: what go.mod asks for directly is what users see, and get.
func TestRequirements(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json", "go.mod"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(libraries, r.Path) && !slices.Contains(testLibraries, r.Path) {
			t.Errorf("go.mod requires %s directly: it is not one of holdfast's libraries", r.Path)
		}
	}
}

// TestImportFaults breaks each rule once, in a small made-up graph.
func TestImportFaults(t *testing.T) {
	in := func(module, path string, imports ...string) listed {
		return listed{ImportPath: path, Imports: imports, Module: &struct{ Path string }{module}}
	}
	sound := []listed{
		{ImportPath: "net/http", Standard: true, Imports: []string{"context", "C"}},
		{ImportPath: "context", Standard: true},
		in("golang.org/x/time", "golang.org/x/time/rate", "context"),
		in("github.com/cenkalti/backoff/v4", "github.com/cenkalti/backoff/v4", "example.com/pulled/in"),
		in("example.com/pulled", "example.com/pulled/in"),
		in("go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/sdk/trace"),
		in(root, root+"/internal/httpx", "net/http"),
		in(root, root+"/retry", root+"/internal/httpx", "golang.org/x/time/rate", "github.com/cenkalti/backoff/v4"),
		in(root, root+"/breaker", root+"/internal/httpx", "context"),
		in(root, root+"/examples/demo", root+"/retry", root+"/breaker"),
	}
	tests := []struct {
		name string
		add  listed // takes the place of the package of the same path
		want []string
	}{
		{"sound", in(root, root+"/status", "net/http"), nil},
		{
			"a policy imports another",
			in(root, root+"/breaker", root+"/retry"),
			[]string{"breaker depends on another policy, retry"},
		},
		{
			"chaos imports a policy",
			in(root, root+"/chaos", root+"/internal/httpx", root+"/retry"),
			[]string{"chaos depends on another policy, retry"},
		},
		{
			"through an internal package",
			in(root, root+"/internal/httpx", root+"/breaker"),
			[]string{
				"retry depends on another policy, breaker",
				"internal/httpx depends on " + root + "/breaker: it may import the standard library only",
			},
		},
		{
			"httpx imports a library",
			in(root, root+"/internal/httpx", "golang.org/x/time/rate"),
			[]string{"internal/httpx depends on golang.org/x/time/rate: it may import the standard library only"},
		},
		{
			"a module outside the libraries",
			in(root, root+"/retry", "example.com/pulled/in"),
			[]string{"retry imports example.com/pulled/in, of a module that is not one of holdfast's libraries"},
		},
		{
			"the SDK outside tests",
			in(root, root+"/examples/demo", "go.opentelemetry.io/otel/sdk/trace"),
			[]string{"examples/demo imports go.opentelemetry.io/otel/sdk/trace, of a module that is not one of holdfast's libraries"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			packages := make(map[string]listed)
			for _, p := range append(slices.Clone(sound), test.add) {
				packages[p.ImportPath] = p
			}
			got, want := importFaults(packages), slices.Sorted(slices.Values(test.want))
			if !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
}

// importFaults is every broken rule, sorted.
func importFaults(packages map[string]listed) []string {
	var faults []string
	for _, p := range packages {
		if p.module() != root {
			continue
		}
		for _, path := range p.Imports {
			module := packages[path].module()
			if module != "" && module != root && !slices.Contains(libraries, module) {
				faults = append(faults, fmt.Sprintf("%s imports %s, of a module that is not one of holdfast's libraries", short(p.ImportPath), path))
			}
		}
	}
	for _, policy := range append(slices.Clone(policies), "chaos") {
		for _, dep := range dependencies(packages, root+"/"+policy) {
			if other := short(dep); other != policy && slices.Contains(policies, other) {
				faults = append(faults, fmt.Sprintf("%s depends on another policy, %s", policy, other)) // chaos is as one of them
			}
		}
	}
	for _, dep := range dependencies(packages, root+"/internal/httpx") {
		if !packages[dep].Standard {
			faults = append(faults, fmt.Sprintf("internal/httpx depends on %s: it may import the standard library only", dep))
		}
	}
	slices.Sort(faults)
	return faults
}

// dependencies is every package that path's package reaches through its imports. "C" is none, only cgo's name for it.
func dependencies(packages map[string]listed, path string) []string {
	seen := make(map[string]bool)
	for rest := packages[path].Imports; len(rest) > 0; {
		next := rest[0]
		rest = rest[1:]
		if !seen[next] {
			seen[next] = true
			rest = append(slices.Clone(rest), packages[next].Imports...)
		}
	}
	delete(seen, path)
	delete(seen, "C")
	return slices.Sorted(maps.Keys(seen))
}

func short(path string) string { return strings.TrimPrefix(path, root+"/") }

// packagesOf lists the root module's packages, without tests, and all that they reach.
func packagesOf(t *testing.T) map[string]listed {
	t.Helper()
	packages := make(map[string]listed)
	out := json.NewDecoder(strings.NewReader(string(
		goCommand(t, "list", "-deps", "-json=ImportPath,Standard,Imports,Module", "./..."))))
	for {
		var p listed
		if err := out.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// goCommand runs the go command on the root module by itself: in a workspace "./..." would be its
// nested modules too. Nor do the flags of this run (-race and its kind) belong to that one.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command on PATH: ", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// watchSources looks at every source file, so that go test does not answer from its cache when one
// has changed: it knows the files that this process looks at, not those that go list reads.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go" || entry.Name() == "go.mod":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
