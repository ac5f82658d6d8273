package stripe

import "unsafe"

// Hash returns a number that is most likely the calling goroutine's own, spread over all 64 bits, for those who keep more
// than a count apart: as [Counter] tells goroutines apart, by where their stacks lie.
func Hash() uint64 {
	var here byte
	return uint64(uintptr(unsafe.Pointer(&here))) >> 11 * 0x9e3779b97f4a7c15
}
