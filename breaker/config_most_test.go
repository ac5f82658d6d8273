package breaker_test

import (
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/breaker"
)

// Of a number that is too large the error says what would not be.
func TestConfigTooLarge(t *testing.T) {
	_, err := breaker.New(breaker.Config{MinCalls: math.MaxInt, Probes: math.MaxInt, ConsecutiveFailures: math.MaxInt})
	if err == nil || strings.Count(err.Error(), "at most 2^30") != 3 {
		t.Error(err)
	}
}
