package holdfast

import (
	"errors"
	"strings"
)

// A document that is none of ours could have a fault in each of its bytes. So many are told, and so many policies or fields may
// be in one place; all that work have far fewer.
const (
	mostFaults  = 100
	mostEntries = 100
)

// faults are those of a document, one a line, as many as anybody reads.
type faults struct{ lines []string }

// add adds those of an error, which may be nil.
func (f *faults) add(err error) {
	if err == nil {
		return
	}
	lines := strings.Split(err.Error(), "\n")
	f.lines = append(f.lines, lines[:min(len(lines), mostFaults-len(f.lines))]...)
}

// full reports whether there is no place for another.
func (f *faults) full() bool { return len(f.lines) >= mostFaults }

// err is all of them, or nil.
func (f *faults) err() error {
	if len(f.lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(f.lines, "\n"))
}
