package holdfast

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// mostDeep is deeper than any document.
const mostDeep = 16

// marshal writes a document that something else has decoded. The error has each place at which there is what JSON has no form for.
func marshal(document any) ([]byte, error) {
	t := texter{}
	document = t.value("", mostDeep, document)
	if err := t.bad.err(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return data, nil
}

// texter makes the keys of objects text: some decoders of YAML make a map[any]any of each object, others of one that has a key
// that is no text.
type texter struct{ bad faults }

// value returns v as encoding/json takes it. What there is no form for is a fault.
func (t *texter) value(at string, deep int, v any) any {
	r := reflect.ValueOf(v)
	for (r.Kind() == reflect.Pointer || r.Kind() == reflect.Interface) && deep > 0 && !writesItself(r.Interface()) {
		r, deep = r.Elem(), deep-1
	}
	switch {
	case t.bad.full():
		return nil
	case !r.IsValid(), writesItself(r.Interface()):
	case deep == 0:
		t.fault(at, errors.New("want a document that is not as deep as this"))
		return nil
	case r.Kind() == reflect.Map && !r.IsNil():
		return t.object(at, deep, r)
	case r.Kind() == reflect.Slice && r.Type().Elem().Kind() != reflect.Uint8 && !r.IsNil():
		return t.list(at, deep, r)
	}
	if _, err := json.Marshal(v); err != nil {
		t.fault(at, fmt.Errorf("%w: want text, a number, true or false, a list or an object", err))
	}
	return v
}

// writesItself reports whether v has a form of its own.
func writesItself(v any) bool {
	switch v.(type) {
	case json.Marshaler, encoding.TextMarshaler:
		return true
	}
	return false
}

func (t *texter) object(at string, deep int, r reflect.Value) any {
	entries := entriesOf(r)
	for i, e := range entries {
		switch {
		case !e.text:
			t.fault(at, fmt.Errorf("the key %s: want text, in quotes where it would be something else", clipped(oneLine(e.name))))
		case i > 0 && entries[i-1].text && entries[i-1].name == e.name:
			t.fault(at, twiceError(e.name))
		}
	}
	all := make(map[string]any, len(entries))
	for _, e := range entries {
		inner := place(e.name)
		if at != "" {
			inner = at + "." + inner
		}
		all[e.name] = t.value(inner, deep-1, e.value.Interface())
	}
	return all
}

// entry is one of a map's.
type entry struct {
	name  string
	kind  reflect.Kind // of the key
	text  bool         // that it is, or is taken for it
	value reflect.Value
}

// entriesOf returns those of a map in an order that is always the same. What is no text comes last.
func entriesOf(r reflect.Value) []entry {
	entries := make([]entry, 0, r.Len())
	for all := r.MapRange(); all.Next(); { // with its values: NaN is a key that no lookup finds
		e := keyOf(all.Key())
		e.value = all.Value()
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.text != b.text && a.text:
			return -1
		case a.text != b.text:
			return 1
		}
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	return entries
}

// keyOf is a key as text. Whole numbers are taken for it, as encoding/json does, and no String method is asked.
func keyOf(key reflect.Value) entry {
	if key.Kind() == reflect.Interface {
		key = key.Elem()
	}
	e := entry{kind: key.Kind(), text: true}
	switch {
	case !key.IsValid():
		e.name, e.text = "null", false
	case key.Kind() == reflect.String:
		e.name = key.String()
	case key.CanInt():
		e.name = strconv.FormatInt(key.Int(), 10)
	case key.CanUint():
		e.name = strconv.FormatUint(key.Uint(), 10)
	default:
		e.name, e.text = fmt.Sprint(key), false
	}
	return e
}

func (t *texter) list(at string, deep int, r reflect.Value) any {
	all := make([]any, r.Len())
	for i := range all {
		all[i] = t.value(fmt.Sprintf("%s[%d]", at, i), deep-1, r.Index(i).Interface())
	}
	return all
}

func (t *texter) fault(at string, err error) {
	if at == "" {
		at = "the document"
	}
	t.bad.add(beside(at, err))
}
