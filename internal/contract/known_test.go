package contract_test

import (
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/contract"
)

// known are faults that the suite has found and that are not mended yet. Mend one, take its case out, and the checks
// run.
func known(row contract.Row, door, variant string) string {
	http := door == "Transport"
	switch {
	case row != contract.CallbackPanics && row != contract.Dropped:
		return ""
	case strings.HasPrefix(variant, "breaker Classify"):
		return "a panic in Classify: the call is in no book, and the place of a probe is lost until ProbeTimeout"
	case variant == "breaker "+hangs:
		return "a panic in OnStateChange at admission, as too many calls hang: the call is in no book"
	case variant == "retry Logger, at the end":
		return "a panic in the Logger at the end of a failed call: it is counted twice"
	case http && row == contract.Dropped && !slices.Contains(closes, variant):
		return "a callback panics with a response in hand: its body is not closed"
	case http && strings.HasSuffix(variant, ", half-open"):
		return "a callback panics at admission: the body of the request is not closed"
	case http && strings.HasSuffix(variant, ", closing"):
		return "a callback panics with a response in hand: its body is not closed"
	default:
		return ""
	}
}

// closes are the callbacks of a retry that run when the response is closed already.
var closes = []string{"retry OnRetry", "retry Logger, before a retry"}
