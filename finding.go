package holdfast

// Finding is something about a stack that is likely to do harm, or at least not what was meant.
type Finding struct {
	Rule     string   // a word for it, such as "attempt-longer-than-total"
	Policies []string // those that it is about, as String has them
	Reason   string   // what happens
	Change   string   // what to do about it
	Fatal    bool     // it cannot work
}

// Error is the finding on one line.
func (f Finding) Error() string {
	s := f.Rule + ": "
	for i, p := range f.Policies {
		if i > 0 {
			s += ", "
		}
		s += p
	}
	return s + ": " + f.Reason + "; " + f.Change
}

// Check says what is wrong with the stack.
func (s *Stack) Check() []Finding { return nil }
