package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/retry"
)

// document is what was read: stacks of which nothing has been made yet.
type document struct {
	setup   Setup
	budgets map[string]retry.BudgetConfig
	shared  map[string]*retry.Budget // those, as far as they are made
	stacks  map[string]*draft
}

// draft is a stack of a document.
type draft struct {
	at    string // its place
	name  string
	text  []byte // as it stands there, without spaces
	parts []part
}

// parse reads a document. Budgets that are there already stand for those of their names. The error has every fault, but see restOf.
func parse(data []byte, setup Setup, there map[string]*retry.Budget) (*document, error) {
	var top map[string]json.RawMessage
	if err := decode(data, &top); err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	var all faults
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != "stacks" && key != "budgets" && !all.full() {
			all.add(fmt.Errorf("%s: no such field: want stacks, budgets", place(key)))
		}
	}
	d := &document{setup: setup, shared: map[string]*retry.Budget{}, stacks: map[string]*draft{}}
	all.add(d.readBudgets(top["budgets"], there))
	all.add(d.readStacks(top["stacks"]))
	if err := all.err(); err != nil {
		if all.full() {
			err = fmt.Errorf("%w\nthe document: there may be more faults than these", err)
		}
		return nil, err
	}
	return d, nil
}

func (d *document) readBudgets(data json.RawMessage, there map[string]*retry.Budget) error {
	d.budgets = map[string]retry.BudgetConfig{}
	if data == nil {
		return nil
	}
	var budgets map[string]json.RawMessage
	if err := decode(data, &budgets); err != nil || budgets == nil {
		return fmt.Errorf("budgets: %w", wanted(err, "want an object of budgets by their names"))
	}
	var all faults
	for _, name := range slices.Sorted(maps.Keys(budgets)) {
		if all.full() {
			break
		}
		var c retry.BudgetConfig
		b, err := there[name], read(budgets[name], &c)
		if err == nil {
			var made *retry.Budget
			if made, err = retry.NewBudget(c); b == nil {
				b = made
			}
		}
		if err != nil {
			given, _ := readFields(budgets[name])
			all.add(under("budgets."+place(name), given.locate(err)))
		}
		d.budgets[name], d.shared[name] = c, b
	}
	return all.err()
}

func (d *document) readStacks(data json.RawMessage) error {
	if data == nil {
		return errors.New("stacks: missing: want an object of stacks by their names")
	}
	var stacks map[string]json.RawMessage
	if err := decode(data, &stacks); err != nil || stacks == nil {
		return fmt.Errorf("stacks: %w", wanted(err, "want an object of stacks by their names"))
	}
	var all faults
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		if all.full() {
			break
		}
		x := &draft{at: "stacks." + place(name), name: name, text: compact(stacks[name])}
		all.add(x.read(d, stacks[name]))
		d.stacks[name] = x
	}
	return all.err()
}

func (x *draft) read(d *document, data json.RawMessage) error {
	var entries []json.RawMessage
	if err := decode(data, &entries); err != nil || entries == nil {
		return fmt.Errorf("%s: want a list of policies, the outermost first", x.at)
	}
	if len(entries) > mostEntries {
		return fmt.Errorf("%s: %d policies: want %d at the most", x.at, len(entries), mostEntries)
	}
	var all faults
	for i, entry := range entries {
		p, err := d.part(fmt.Sprintf("%s[%d]", x.at, i), x.name, entry)
		if err != nil {
			all.add(err)
			continue
		}
		x.parts = append(x.parts, p)
	}
	all.add(x.try())
	return all.err()
}

// try returns every fault that would come up when the stack is made, and makes nothing that stays.
func (x *draft) try() error {
	s, err := x.build(func(p part) (Runner, error) { return p.try() })
	if s != nil {
		for i := range s.layers {
			closeAll(s.layers[i].other)
		}
	}
	return err
}

// build makes the stack, each policy by make.
func (x *draft) build(make func(part) (Runner, error)) (*Stack, error) {
	var policies []Runner
	var errs []error
	for _, p := range x.parts {
		policy, err := make(p)
		if err != nil {
			errs = append(errs, under(p.at, p.fields.locate(err)))
			continue
		}
		policies = append(policies, policy)
	}
	s, err := NewStack(policies...)
	if err != nil {
		errs = append(errs, beside(x.at, err))
	}
	return s.Named(x.name), errors.Join(errs...)
}

// read reads an object; null is none.
func read(data json.RawMessage, into json.Unmarshaler) error {
	if _, err := readFields(data); err != nil {
		return err
	}
	return into.UnmarshalJSON(data)
}

// readFields reads the fields of a policy, and looks into the objects among them: those have no objects in them.
func readFields(data json.RawMessage) (given, error) {
	var fields given
	if err := decode(data, &fields); err != nil || fields == nil {
		return nil, wanted(err, "want an object")
	}
	if len(fields) > mostEntries {
		return nil, fmt.Errorf("want %d fields at the most, not %d", mostEntries, len(fields))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var within map[string]json.RawMessage
		switch err := decode(fields[key], &within); {
		case within == nil: // something else
		case err != nil:
			return nil, fmt.Errorf("%s: %w", place(key), err)
		case len(within) > mostEntries:
			return nil, fmt.Errorf("%s: want %d fields at the most, not %d", place(key), mostEntries, len(within))
		}
	}
	return fields, nil
}

// compact is JSON without spaces.
func compact(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}

// decode reads one JSON value and nothing after it. An object must not have a key twice: one of the two would be lost.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
			return fmt.Errorf("line %d: %w", line, err)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("it ends too early")
		}
		return errors.New("want an object")
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something after its end")
	}
	if key, twice := repeated(data); twice {
		return twiceError(key)
	}
	return nil
}

// twiceError is of a key that an object has twice.
type twiceError string

func (e twiceError) Error() string { return place(string(e)) + " is there twice" }

// wanted is err if that says more than what was wanted.
func wanted(err error, want string) error {
	var twice twiceError
	if errors.As(err, &twice) {
		return twice
	}
	return errors.New(want)
}

// repeated returns a key that an object has twice. It does not look into the values.
func repeated(data []byte) (key string, twice bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, _ := d.Token(); open != json.Delim('{') {
		return "", false
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return "", false
		}
		if seen[key] {
			return key, true
		}
		seen[key] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
	}
	return "", false
}
