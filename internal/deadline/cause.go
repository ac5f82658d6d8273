package deadline

import "context"

// Cause is what [Context.CancelCause] cancels with. It is made once for each cause, and may be used any number of times
// and by many goroutines at once, so that to cancel allocates nothing.
type Cause struct {
	settled *link           // of the contexts that it ends before anybody has asked for Done
	std     context.Context // cancelled with it; see causekey.go
}

// NewCause returns a Cause that [context.Cause] reports as err; if err is nil, as [context.Canceled].
func NewCause(err error) *Cause {
	c := &Cause{}
	c.settled = settled(ended, end{err: context.Canceled, cause: c})
	std, cancel := context.WithCancelCause(context.Background())
	cancel(err)
	c.std = std
	return c
}

// value is what a context that c has ended answers to cancelCtxKey: nil, if c is.
func (c *Cause) value() any {
	if c == nil {
		return nil
	}
	return c.std
}
