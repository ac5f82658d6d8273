package chaos

import (
	"context"
	"crypto/subtle"
	"net/http"
	"sync"
)

// Header has the Secret of a request that asks for faults.
const Header = "Holdfast-Chaos"

// WithKey returns a context whose calls are known by key, not by their number: the same key gets the same faults, whatever else
// goes on at the time. The calls under it are counted, for each Injector by itself: the first, its repetition by a retry, and so
// on. Calls under one key that run at once are told apart by who comes first; give each its own.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyKey{}, &keyed{hash: hash(key)})
}

type keyKey struct{}

// keyed is a key, and how often it was used in each run.
type keyed struct {
	hash uint64
	mu   sync.Mutex
	uses map[*run]uint64
}

// use counts one more call under the key.
func (k *keyed) use(r *run) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, known := k.uses[r]
	if !known {
		k.forget()
	}
	k.uses[r] = n + 1
	return n
}

// forget drops the runs that are over: a context may live longer than many of them.
func (k *keyed) forget() {
	if k.uses == nil {
		k.uses = make(map[*run]uint64)
	}
	for r := range k.uses {
		if r.ended() {
			delete(k.uses, r)
		}
	}
}

// WithSecret returns a context whose calls get the faults of an Injector with that Config.Secret.
func WithSecret(ctx context.Context, secret string) context.Context {
	return context.WithValue(ctx, secretKey{}, hidden{secret})
}

type secretKey struct{}

// hidden is a secret in a context, which would print a plain string.
type hidden struct{ text string }

// meant reports whether faults are for a call at all. r is nil outside of HTTP.
func (in *Injector) meant(ctx context.Context, r *http.Request) bool {
	if in.cfg.Secret == "" {
		return true
	}
	given, _ := ctx.Value(secretKey{}).(hidden)
	return in.isSecret(given.text) || r != nil && in.isSecret(r.Header.Get(Header))
}

// isSecret takes as long for each text of the same length. No Secret is never given.
func (in *Injector) isSecret(given string) bool {
	return in.cfg.Secret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(in.cfg.Secret)) == 1
}
