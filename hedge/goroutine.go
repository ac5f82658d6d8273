package hedge

// deep makes the stack of a new goroutine large enough for a request, while there is next to nothing on it. Such a stack
// begins with two kilobytes or a little more, and a request goes about five kilobytes down: it would be copied twice or three
// times on the way, each time with all that is on it. Over loopback that is 0.85 of the 4 µs that a hedge costs which does
// not fire. Where stacks begin larger, as the runtime sees to in a program whose goroutines go deep, it does nothing.
//
//go:noinline
func deep(really bool) {
	if !really { // it is the frame that counts; to clear it would be for nothing
		return
	}
	var frame [4 << 10]byte
	use(&frame)
}

//go:noinline
func use(frame *[4 << 10]byte) { frame[0]++ }
