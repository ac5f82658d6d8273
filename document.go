package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

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

// parse reads a document. Budgets that are there already stand for those of their names. The error has every fault.
func parse(data []byte, setup Setup, there map[string]*retry.Budget) (*document, error) {
	var top map[string]json.RawMessage
	if err := decode(data, &top); err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != "stacks" && key != "budgets" {
			errs = append(errs, fmt.Errorf("%s: no such field: want stacks, budgets", place(key)))
		}
	}
	d := &document{setup: setup, shared: map[string]*retry.Budget{}, stacks: map[string]*draft{}}
	errs = append(errs, d.readBudgets(top["budgets"], there), d.readStacks(top["stacks"]))
	if err := errors.Join(errs...); err != nil {
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
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(budgets)) {
		var c retry.BudgetConfig
		b, err := there[name], read(budgets[name], &c)
		if err == nil {
			var made *retry.Budget
			if made, err = retry.NewBudget(c); b == nil {
				b = made
			}
		}
		if err != nil {
			errs = append(errs, under("budgets."+place(name), err))
		}
		d.budgets[name], d.shared[name] = c, b
	}
	return errors.Join(errs...)
}

func (d *document) readStacks(data json.RawMessage) error {
	if data == nil {
		return errors.New("stacks: missing: want an object of stacks by their names")
	}
	var stacks map[string]json.RawMessage
	if err := decode(data, &stacks); err != nil || stacks == nil {
		return fmt.Errorf("stacks: %w", wanted(err, "want an object of stacks by their names"))
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		x := &draft{at: "stacks." + place(name), name: name, text: compact(stacks[name])}
		errs = append(errs, x.read(d, stacks[name]))
		d.stacks[name] = x
	}
	return errors.Join(errs...)
}

func (x *draft) read(d *document, data json.RawMessage) error {
	var entries []json.RawMessage
	if err := decode(data, &entries); err != nil || entries == nil {
		return fmt.Errorf("%s: want a list of policies, the outermost first", x.at)
	}
	var errs []error
	for i, entry := range entries {
		p, err := d.part(fmt.Sprintf("%s[%d]", x.at, i), x.name, entry)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		x.parts = append(x.parts, p)
	}
	return errors.Join(append(errs, x.try())...)
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
			errs = append(errs, under(p.at, err))
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
	var fields map[string]json.RawMessage
	if err := decode(data, &fields); err != nil || fields == nil {
		return wanted(err, "want an object")
	}
	return into.UnmarshalJSON(data)
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

// beside puts a place before each line of an error about what is there.
func beside(at string, err error) error {
	return errors.New(at + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+at+": "))
}

// under puts a place before each line of an error about what is there, or in it.
func under(at string, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		sep := "."
		if strings.HasPrefix(line, "want ") || strings.HasSuffix(line, " is there twice") || strings.Contains(line, "Config.") {
			sep = ": "
		}
		lines[i] = at + sep + line
	}
	return errors.New(strings.Join(lines, "\n"))
}

// place is a key as it is shown in a path: one that is not a plain word is quoted.
func place(key string) string {
	key = clipped(key)
	for _, r := range key {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return fmt.Sprintf("%q", key)
		}
	}
	if key == "" {
		return `""`
	}
	return key
}

// clipped keeps an error readable when a text is not.
func clipped(text string) string {
	const most = 60
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
