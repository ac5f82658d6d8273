// Package bench measures holdfast beside other libraries, on the same work and in one run. It is a module of its own, so
// that users of holdfast never pull a peer.
package bench
