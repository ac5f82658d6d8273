package deadline

import "context"

// nearest is the key by which a Context finds the innermost Context above it, through contexts that carry values.
type nearest struct{}

// cancelCtxKey is the key by which package context finds the innermost cancelCtx above a context. It is not exported,
// so we ask once for a Cause and keep what is asked of us.
//
// We need it in three places.
//
// [context.Cause] asks the parents for the cause of a context that it did not make. If we ended at our limit, and the
// parent was cancelled later for a reason of its own, Cause would report that one for an Err of DeadlineExceeded; so
// once we have ended by ourselves we hide the parents' cancelCtx, and Cause falls back on Err.
//
// If we were cancelled with a cause, we show another cancelCtx instead: that of the [Cause], which was cancelled with it
// beforehand. It is good for nothing else. Package context takes the cancelCtx that it finds for ours, and so for a
// place to register what is derived from us, only if both have the same Done channel; that of the Cause is the channel
// that package context shares among all that ended before they were asked for theirs, and ours never is.
//
// And a hub uses it to know whether package context would start a goroutine, and to register above what adds values.
//
// Should package context ever ask in another way, this is nil: then Cause has the flaw above and reports no cause of
// ours but Canceled, and each parent costs a goroutine. Nothing breaks.
var cancelCtxKey = func() any {
	k := &keyCatcher{Context: context.Background()}
	_ = context.Cause(k)
	return k.key
}()

type keyCatcher struct {
	context.Context
	key any
}

func (*keyCatcher) Err() error { return context.Canceled }

func (k *keyCatcher) Value(key any) any {
	k.key = key
	return nil
}
