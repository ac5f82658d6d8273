package holdfast

import (
	"fmt"
	"strings"
	"time"
)

// Finding is something about a stack that does harm, or is not what was meant.
type Finding struct {
	Rule     string   // a word for it, such as "hedge-after-deadline"
	Policies []string // those that it is about, the outermost first, as String has them
	Reason   string   // what happens
	Change   string   // what to do about it
	Fatal    bool     // it cannot work, and NewStack returns it as an error
}

// Error is the finding on one line.
func (f Finding) Error() string {
	return fmt.Sprintf("%s: %s: %s; %s", f.Rule, strings.Join(f.Policies, ", "), f.Reason, f.Change)
}

// Traffic is what a stack is for, as far as Check can make use of it. The zero Traffic says nothing.
type Traffic struct {
	PerSecond     float64       // calls
	Deadline      time.Duration // that callers come with; 0: not known
	NotIdempotent bool          // the work must not be done twice
}

// For returns the stack with what it is for, so that Check can say more.
func (s *Stack) For(t Traffic) *Stack {
	if s == nil {
		return nil
	}
	one := *s.current()
	one.traffic = t
	return &one
}

// Check says what is wrong with the stack: numbers that contradict each other, an order that does something else than it
// seems. What it finds is worth a look, not always a change: each Finding has its reason. It knows the policies of holdfast,
// and nothing of others.
func (s *Stack) Check() []Finding {
	if s = s.flat(); s == nil {
		return nil
	}
	var all []Finding
	for _, rule := range rules {
		all = append(all, rule(s)...)
	}
	return all
}

// found is a finding about some layers.
func found(name string, ls []*layer, reason, change string) Finding {
	f := Finding{Rule: name, Reason: reason, Change: change}
	for _, l := range ls {
		text := l.String()
		if n := l.name(); n != "" {
			text += " " + oneLine(n)
		}
		f.Policies = append(f.Policies, text)
	}
	return f
}
