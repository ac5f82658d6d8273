package contract

import "testing"

// Row is one situation.
type Row string

// The rows of the contract.
const (
	ContextDone    Row = "context already done"
	EndsDuring     Row = "context ends during fn, fn succeeds"
	EndsWaiting    Row = "context ends while waiting"
	EndsQueued     Row = "context ends while queued"
	CannotBeMet    Row = "deadline cannot be met"
	UnmetQueued    Row = "deadline cannot be met, queued"
	Cancelled      Row = "caller cancelled"
	RefusedBelow   Row = "refused below"
	Panics         Row = "fn panics"
	Goexits        Row = "fn calls Goexit"
	CallbackPanics Row = "callback panics"
	LivesOn        Row = "context of a success lives on"
	LeavesNothing  Row = "a million calls leave nothing behind"
	Late           Row = "late result"
	NilPolicy      Row = "nil policy"
	NilFunc        Row = "nil fn"
	DoneTwice      Row = "Done twice"
	NeverDone      Row = "Done never"
	AllFail        Row = "all attempts fail"
	Dropped        Row = "dropped value"
	Thousand       Row = "a thousand goroutines"
	NoAllocation   Row = "no allocation"

	// What has to be seen on real connections, over HTTP/1.1 and HTTP/2.
	HTTPLastResponse Row = "HTTP: the last response"
	HTTPBodies       Row = "HTTP: bodies opened and closed"
	HTTPConnections  Row = "HTTP: connections used again"
	HTTPStream       Row = "HTTP: a stream outlives the call"
	HTTPTimeLimit    Row = "HTTP: the time limit ends a body"
	HTTPNothingLeft  Row = "HTTP: nothing left running"
)

type row struct {
	name  Row
	check func(*testing.T, *Cell)
}

var rows = []row{
	{ContextDone, bubble(contextDone)},
	{EndsDuring, bubble(endsDuring)},
	{EndsWaiting, bubble(endsWaiting)},
	{EndsQueued, endsQueued},
	{CannotBeMet, bubble(cannotBeMet)},
	{UnmetQueued, unmetQueued},
	{Cancelled, bubble(cancelled)},
	{RefusedBelow, bubble(refusedBelow)},
	{Panics, bubble(panics)},
	{Goexits, bubble(goexits)},
	{CallbackPanics, callbackPanics},
	{LivesOn, livesOn},
	{LeavesNothing, leavesNothing},
	{Late, bubble(late)},
	{NilPolicy, nilPolicy},
	{NilFunc, nilFunc},
	{DoneTwice, bubble(doneTwice)},
	{NeverDone, bubble(neverDone)},
	{AllFail, bubble(allFail)},
	{Dropped, dropped},
	{Thousand, bubble(thousand)},
	{NoAllocation, noAllocation},
	{HTTPLastResponse, overHTTP(httpLastResponse)},
	{HTTPBodies, overHTTP(httpBodies)},
	{HTTPConnections, overHTTP(httpConnections)},
	{HTTPStream, overHTTP(httpStream)},
	{HTTPTimeLimit, overHTTP(httpTimeLimit)},
	{HTTPNothingLeft, overHTTP(httpNothingLeft)},
}
