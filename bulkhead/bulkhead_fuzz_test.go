package bulkhead_test

import (
	"testing"
	"testing/synctest"
)

// FuzzModel runs scripts on a bulkhead and on its model: see script.
func FuzzModel(f *testing.F) {
	f.Add([]byte("\x00\x04\x00\x01\x00" + "\x06\x00\x00\x01\x00\x01\x0d\x09\x0d\x09\x00\x01\x08\x00\x08\x00")) // it turns
	f.Add([]byte("\x01\x02\x00\x00\x00" + "\x07\xff\x00\x00\x00\x00\x00\x02\x00\x02\x0b\x01\x08\x00\x0c\x05")) // it displaces
	f.Add([]byte("\x00\x04\x02\x02\x01" + "\x06\x00\x00\x01\x00\x04\x0d\x09\x0d\x09\x08\x00\x06\x00\x00\x04")) // it gives up
	f.Add([]byte("\x05\x03\x03\x03\x02" + "\x07\xff\x0c\x00\x08\x01\x08\x02\x0c\x13\x00\x01\x07\xff\x0b\x00")) // resized
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 2048 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			if err := script(code); err != nil {
				t.Error(err)
			}
		})
	})
}
