// Package conf is what the Configs of all policies share: faults gathered into one error, and a JSON form with
// durations as text.
package conf

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Faults gathers all that is wrong with a Config.
type Faults struct {
	prefix string // "retry.Config"
	errs   []error
}

// Check starts a list of faults in a value of the named type.
func Check(typ string) *Faults { return &Faults{prefix: typ} }

// Want records a fault unless ok: the Go field, its value, and what would be right.
func (f *Faults) Want(ok bool, field string, value any, right string) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf("%s.%s: %v: want %s", f.prefix, field, show(value), right))
	}
}

// Err returns every fault, one a line, or nil.
func (f *Faults) Err() error { return errors.Join(f.errs...) }

func show(value any) any {
	if s, ok := value.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return value
}

// Or returns value, or otherwise if value is zero: the documented default.
func Or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// OrNone returns the default for zero, and zero for a negative value, which means none.
func OrNone[T int | int64 | float64 | time.Duration](value, otherwise T) T {
	if value < 0 {
		return 0
	}
	return Or(value, otherwise)
}

// NilIn reports whether an interface holds a nil pointer: it is not nil, and fails where it is first used, far from its cause.
func NilIn(value any) bool {
	v := reflect.ValueOf(value)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
