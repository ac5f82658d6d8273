package holdfast_test

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// What a policy below has refused is no value: a discard that closes what it gets would be given nil. It gets what attempts
// have made, a value that came with an error too.
func TestDiscardOnlyWhatWasMade(t *testing.T) {
	shut := breaker.MustNew(breaker.Config{})
	shut.Force(breaker.ForcedOpen)
	three := failover.MustNew(failover.Config[int]{Targets: []failover.Target[int]{{Name: "a", Value: 1}, {Name: "b", Value: 2}, {Name: "c", Value: 3}}})
	for name, test := range map[string]struct {
		policies []holdfast.Runner
		want     int32 // values discarded
	}{
		"refused at each target":          {[]holdfast.Runner{holdfast.OneOf(three), shut}, 0},
		"refused, somebody else's around": {[]holdfast.Runner{twice{}, shut}, 0},
		"refused, below a fallback":       {[]holdfast.Runner{holdfast.Fallback(func(_ context.Context, err error) (*int, error) { return nil, err }), shut}, 0},
		"failed at two targets":           {[]holdfast.Runner{holdfast.OneOf(three)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var discarded atomic.Int32
				v, err := holdfast.DoDiscard(t.Context(), holdfast.MustStack(test.policies...), func(context.Context) (*int, error) {
					return new(int), errDown
				}, func(v *int) {
					if v == nil {
						t.Error("nil was discarded, and nobody made it")
					}
					discarded.Add(1)
				})
				synctest.Wait()
				if err == nil || discarded.Load() != test.want || (v == nil) != (test.want == 0) {
					t.Errorf("%v, %v, %d discarded; want an error, and %d", v, err, discarded.Load(), test.want)
				}
			})
		})
	}
}

// A group that is switched off chooses nothing: there is no target, and fn has the caller's own context.
func TestTargetOfNoGroup(t *testing.T) {
	s := holdfast.MustStack((*retry.Policy)(nil), holdfast.OneOf[*url.URL](nil), (*hedge.Policy)(nil))
	err := s.Run(t.Context(), func(ctx context.Context) error {
		if target, ok := holdfast.Target[*url.URL](ctx); ok || ctx != t.Context() {
			t.Errorf("the target is %v; the context is the caller's: %v", target, ctx == t.Context())
		}
		return errDown
	})
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
}
