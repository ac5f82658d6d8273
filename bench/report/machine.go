package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// about is where the numbers come from. No name of a host and no path: they say nothing about a number.
type about struct {
	cpu, system, goVersion string
	cores                  int
	peers                  []string // path and version
}

func aboutMachine(dir string, raw []byte) about {
	a := about{cpu: "unknown", system: runtime.GOOS + "/" + runtime.GOARCH, goVersion: runtime.Version(), cores: runtime.NumCPU()}
	for line := range strings.Lines(string(raw)) {
		if model, ok := strings.CutPrefix(line, "cpu: "); ok {
			a.cpu = strings.TrimSpace(model)
			break
		}
	}
	list := exec.Command("go", "list", "-m", "-f", "{{if not (or .Indirect .Main .Replace)}}{{.Path}} {{.Version}}{{end}}", "all")
	list.Dir = dir
	list.Env = append(list.Environ(), "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		return a
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			a.peers = append(a.peers, line)
		}
	}
	return a
}

func (a about) String() string {
	return fmt.Sprintf("%s, %d cores, %s, %s", a.cpu, a.cores, a.system, a.goVersion)
}
