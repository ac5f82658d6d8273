package main

import (
	"os"
	"path/filepath"

	"github.com/holdfast-go/holdfast/internal/chart"
)

// pictures is the folder that charts are drawn into. If it is empty, the first one makes a new temporary folder.
type pictures struct{ folder string }

// draw writes lines to a file of the given name, and returns where that is.
func (p *pictures) draw(name string, lines chart.Lines) (path string, err error) {
	if p.folder == "" {
		if p.folder, err = os.MkdirTemp("", "holdfast-demo-"); err != nil {
			return "", err
		}
	}
	path = filepath.Join(p.folder, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := lines.SVG(file); err != nil {
		file.Close()
		return "", err
	}
	return path, file.Close()
}
