package holdfast

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/failover"
	"github.com/holdfast-go/holdfast/hedge"
	"github.com/holdfast-go/holdfast/retry"
)

// Load reads stacks by their names from a JSON document:
//
//	{"stacks": {"users": [
//		{"retry":    {"max_attempts": 3, "attempt_timeout": "2s"}},
//		{"breaker":  {"open_for": "5s"}},
//		{"bulkhead": {"limit": 64}}
//	]}}
//
// The outermost policy is the first. Each is one of retry, breaker, bulkhead and hedge with the fields of its Config in snake
// case; or failover, of URLs, with targets beside them: {"failover": {"targets": [{"name": "a", "url": "http://a:8080"}]}}. A
// policy without a name has that of its stack.
//
// The error has every fault, each with its place: stacks.users[1].breaker.open_for: "5 sec": want a duration such as "5s". What
// [Stack.Check] finds is no fault, unless it cannot work.
func Load(document []byte) (map[string]*Stack, error) {
	var top map[string]json.RawMessage
	if err := decode(document, &top); err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	var stacks map[string]json.RawMessage
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != "stacks" {
			errs = append(errs, fmt.Errorf("%s: no such field: want stacks", place(key)))
		}
	}
	if raw, given := top["stacks"]; !given {
		errs = append(errs, errors.New("stacks: missing: want an object of stacks by their names"))
	} else if err := decode(raw, &stacks); err != nil || stacks == nil {
		errs = append(errs, errors.New("stacks: want an object of stacks by their names"))
	}
	all := make(map[string]*Stack, len(stacks))
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		s, err := loadStack("stacks."+place(name), name, stacks[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all[name] = s
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// LoadValue is Load for a document that something else has decoded: YAML into map[string]any, say.
func LoadValue(document any) (map[string]*Stack, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return Load(data)
}

func loadStack(at, name string, data json.RawMessage) (*Stack, error) {
	var entries []json.RawMessage
	if err := decode(data, &entries); err != nil || entries == nil {
		return nil, fmt.Errorf("%s: want a list of policies, the outermost first", at)
	}
	var policies []Runner
	var errs []error
	for i, entry := range entries {
		p, err := loadPolicy(fmt.Sprintf("%s[%d]", at, i), name, entry)
		errs = append(errs, err)
		policies = append(policies, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s, err := NewStack(policies...)
	if err != nil {
		return nil, under(at, err)
	}
	return s.Named(name), nil
}

// loaders make a policy of a name and the JSON of its Config.
var loaders = map[string]func(name string, data json.RawMessage) (Runner, error){
	"retry": func(name string, data json.RawMessage) (Runner, error) {
		c := retry.Config{Name: name}
		return made(data, &c, func() (*retry.Policy, error) { return retry.New(c) })
	},
	"breaker": func(name string, data json.RawMessage) (Runner, error) {
		c := breaker.Config{Name: name}
		return made(data, &c, func() (*breaker.Breaker, error) { return breaker.New(c) })
	},
	"bulkhead": func(name string, data json.RawMessage) (Runner, error) {
		c := bulkhead.Config{Name: name}
		return made(data, &c, func() (*bulkhead.Bulkhead, error) { return bulkhead.New(c) })
	},
	"hedge": func(name string, data json.RawMessage) (Runner, error) {
		c := hedge.Config{Name: name}
		return made(data, &c, func() (*hedge.Policy, error) { return hedge.New(c) })
	},
	"failover": loadFailover,
}

// made reads a Config and makes a policy of it.
func made[P Runner](data json.RawMessage, config json.Unmarshaler, build func() (P, error)) (Runner, error) {
	if err := object(data); err != nil {
		return nil, err
	}
	if err := config.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	p, err := build()
	if err != nil {
		return nil, err
	}
	return p, nil
}

func loadPolicy(at, name string, data json.RawMessage) (Runner, error) {
	var entry map[string]json.RawMessage
	if err := decode(data, &entry); err != nil || len(entry) != 1 {
		return nil, fmt.Errorf("%s: want an object with one policy: %s", at, kinds())
	}
	for kind, config := range entry {
		load, known := loaders[kind]
		if !known {
			return nil, fmt.Errorf("%s.%s: no such policy: want one of %s", at, place(kind), kinds())
		}
		p, err := load(name, config)
		if err != nil {
			return nil, under(at+"."+kind, err)
		}
		return p, nil
	}
	return nil, nil // there is one
}

func kinds() string { return strings.Join(slices.Sorted(maps.Keys(loaders)), ", ") }

// loadFailover takes the targets out: they have no JSON form of their own, as they may be anything.
func loadFailover(name string, data json.RawMessage) (Runner, error) {
	var fields map[string]json.RawMessage
	if err := decode(data, &fields); err != nil || fields == nil {
		return nil, errors.New("want an object")
	}
	targets, err := loadTargets(fields["targets"])
	delete(fields, "targets")
	rest, _ := json.Marshal(fields) // of what was JSON
	c := failover.Config[*url.URL]{Name: name}
	if err := errors.Join(err, c.UnmarshalJSON(rest)); err != nil {
		return nil, err
	}
	c.Targets = targets
	g, err := failover.New(c)
	if err != nil {
		return nil, err
	}
	return OneOf(g), nil
}

func loadTargets(data json.RawMessage) (all []failover.Target[*url.URL], err error) {
	var entries []map[string]json.RawMessage
	if err := decode(data, &entries); err != nil || len(entries) == 0 {
		return nil, errors.New(`targets: want a list such as [{"name": "a", "url": "http://a:8080", "priority": 0, "weight": 1}]`)
	}
	var errs []error
	for i, entry := range entries {
		var t failover.Target[*url.URL]
		var to string
		for _, key := range slices.Sorted(maps.Keys(entry)) {
			into, want := any(nil), ""
			switch key {
			case "name":
				into, want = &t.Name, "a string"
			case "url":
				into, want = &to, "a string"
			case "priority":
				into, want = &t.Priority, "a whole number"
			case "weight":
				into, want = &t.Weight, "a number"
			default:
				errs = append(errs, fmt.Errorf("targets[%d].%s: no such field: want one of name, url, priority, weight", i, place(key)))
				continue
			}
			if err := json.Unmarshal(entry[key], into); err != nil {
				errs = append(errs, fmt.Errorf("targets[%d].%s: want %s", i, key, want))
			}
		}
		u, err := url.Parse(to)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf(`targets[%d].url: %q: want a URL such as "http://a:8080"`, i, clipped(to)))
		}
		t.Value = u
		all = append(all, t)
	}
	return all, errors.Join(errs...)
}

// object reports what is not one; null is none.
func object(data json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := decode(data, &fields); err != nil || fields == nil {
		return errors.New("want an object")
	}
	return nil
}

// decode reads one JSON value and nothing after it.
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
	return nil
}

// under puts a place before each line of an error.
func under(at string, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		sep := "."
		if strings.HasPrefix(line, "want ") || strings.Contains(line, "Config.") || strings.Contains(line, "holdfast.") {
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
