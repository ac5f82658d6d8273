// Package integration tests holdfast together with what it is used with, over real protocols. It is a module of its
// own: what it requires, users of holdfast never see.
package integration
