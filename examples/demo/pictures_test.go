package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// TestPictures: a folder that is not there is an error, and without one all are in the same new folder.
func TestPictures(t *testing.T) {
	lines := chart.Lines{Series: []chart.Series{{X: []float64{1, 2}, Y: []float64{1, 2}}}}
	if _, err := (&pictures{filepath.Join(t.TempDir(), "none")}).draw("a.svg", lines); err == nil {
		t.Error("drawn into a folder that is not there")
	}
	t.Setenv("TMPDIR", t.TempDir()) // on Windows it is TMP
	t.Setenv("TMP", t.TempDir())
	p := &pictures{}
	var paths [2]string
	for i, name := range []string{"a.svg", "b.svg"} {
		path, err := p.draw(name, lines)
		if err != nil {
			t.Fatal(err)
		}
		if svg, err := os.ReadFile(path); err != nil || len(svg) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(svg), err)
		}
		paths[i] = path
	}
	if filepath.Dir(paths[0]) != filepath.Dir(paths[1]) || paths[0] == paths[1] {
		t.Errorf("want two files in one folder: %q", paths)
	}
	if _, err := p.draw("c.svg", chart.Lines{}); err == nil {
		t.Error("a chart of nothing was drawn")
	}
}
