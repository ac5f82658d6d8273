package holdfast

import (
	"errors"
	"maps"
	"net/url"
	"slices"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Load reads stacks by their names from a JSON document:
//
//	{
//		"budgets": {"users-db": {"ratio": 0.1}},
//		"stacks": {"users": [
//			{"retry":    {"max_attempts": 3, "attempt_timeout": "2s", "budget": "users-db"}},
//			{"breaker":  {"open_for": "5s"}},
//			{"bulkhead": {"limit": 64}}
//		]}
//	}
//
// The outermost policy is the first. Each is one of retry, breaker, bulkhead and hedge with the fields of its Config in snake
// case; or failover, of URLs, with targets beside them: {"failover": {"targets": [{"name": "a", "url": "http://a:8080"}]}}. A
// policy without a name has that of its stack. The budget of a retry or a hedge is one of the budgets, which all that name it
// share.
//
// The error has every fault, each with its place: stacks.users[1].breaker.open_for: "5 sec": want a duration such as "5s". A fault
// between two fields of which one cannot be read is told once it can. What [Stack.Check] finds is no fault, unless it cannot work.
//
// See [Setup] for what has no form in a document, and [Registry] for documents that change. [Stack.Close] ends what a failover
// does in the background.
func Load(document []byte) (map[string]*Stack, error) { return Setup{}.Load(document) }

// LoadValue is Load for a document that something else has decoded: YAML into any, say, be its objects a map[string]any or a
// map[any]any.
func LoadValue(document any) (map[string]*Stack, error) { return Setup{}.LoadValue(document) }

// Setup gives the policies of a document what has no form in one: functions, providers, a Logger. Each function is called for
// every policy of its kind, with the name of the stack and what the document says of the policy, before that is made or
// changed. A nil function changes nothing.
type Setup struct {
	Retry    func(stack string, c *retry.Config)
	Breaker  func(stack string, c *breaker.Config)
	Bulkhead func(stack string, c *bulkhead.Config)
	Hedge    func(stack string, c *hedge.Config)
	Failover func(stack string, c *failover.Config[*url.URL])
}

// Load is the function of that name, with the Setup.
func (s Setup) Load(data []byte) (map[string]*Stack, error) {
	d, err := parse(data, s, nil)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*Stack, len(d.stacks))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.stacks)) {
		stack, err := d.stacks[name].build(func(p part) (Runner, error) { return p.make() })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[name] = stack
	}
	if err := errors.Join(errs...); err != nil {
		for _, stack := range all {
			stack.Close()
		}
		return nil, err
	}
	return all, nil
}

// LoadValue is the function of that name, with the Setup.
func (s Setup) LoadValue(document any) (map[string]*Stack, error) {
	data, err := marshal(document)
	if err != nil {
		return nil, err
	}
	return s.Load(data)
}
