package keyed_test

import (
	"testing"
	"testing/synctest"
)

func FuzzMap(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 3, 0, 1, 0, 4, 11, 0})
	f.Add([]byte{0, 1, 13, 7, 0, 1, 12, 0, 10, 1})
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			if diff := script(code); diff != "" {
				t.Error(diff)
			}
		})
	})
}
