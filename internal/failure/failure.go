// Package failure reads what policies tell each other, without importing each other, through small methods on
// errors. It looks the whole tree of an error through, as errors.As does, and allocates nothing: it runs on every
// failure of every attempt.
package failure

import "time"

// Refused reports whether the call was refused before any work was done. The outermost error that has an opinion counts:
// it knows what it did before the one below refused.
func Refused(err error) bool {
	e, ok := Find[interface{ Refused() bool }](err)
	return ok && e.Refused()
}

// Exhausted reports whether someone below has already retried to the end. Of several, one is enough.
func Exhausted(err error) bool {
	found := false
	each(err, func(e interface{ Exhausted() bool }) { found = found || e.Exhausted() })
	return found
}

// RetryAfter is the earliest sensible time for the next attempt, if the error asks for one: the longest of several, unless
// what joins them has an opinion, which is then that of all: of several targets one that is ready is enough.
func RetryAfter(err error) (d time.Duration, asked bool) {
	for err != nil {
		own, decides := err.(interface{ RetryAfter() time.Duration })
		if decides {
			d = max(d, own.RetryAfter())
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			if !decides {
				for _, inner := range e.Unwrap() {
					of, _ := RetryAfter(inner)
					d = max(d, of)
				}
			}
			return d, d > 0
		default:
			return d, d > 0
		}
	}
	return d, d > 0
}

// each calls do with every T in err's tree.
func each[T any](err error, do func(T)) {
	for err != nil {
		if found, ok := err.(T); ok {
			do(found)
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				each(inner, do)
			}
			return
		default:
			return
		}
	}
}

// Find returns the first error in err's tree that is a T: errors.As, but for the allocation of a target.
func Find[T any](err error) (found T, ok bool) {
	for err != nil {
		if found, ok = err.(T); ok {
			return found, true
		}
		if as, can := err.(interface{ As(any) bool }); can {
			var target T
			if as.As(&target) {
				return target, true
			}
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, each := range e.Unwrap() {
				if found, ok = Find[T](each); ok {
					return found, true
				}
			}
			return found, false
		default:
			return found, false
		}
	}
	return found, false
}
