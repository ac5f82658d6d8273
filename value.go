package holdfast

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
	fields := make(map[string]reflect.Value, r.Len())
	var odd []string
	for _, key := range r.MapKeys() {
		name, ok := keyText(key)
		_, twice := fields[name]
		switch {
		case !ok:
			odd = append(odd, clipped(oneLine(name)))
		case twice:
			t.fault(at, twiceError(name))
		}
		fields[name] = r.MapIndex(key)
	}
	slices.Sort(odd)
	for _, name := range odd {
		t.fault(at, fmt.Errorf("the key %s: want text, in quotes where it would be something else", name))
	}
	all := make(map[string]any, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		inner := place(name)
		if at != "" {
			inner = at + "." + inner
		}
		all[name] = t.value(inner, deep-1, fields[name].Interface())
	}
	return all
}

// keyText is a key as text. Whole numbers are taken for it, as encoding/json does.
func keyText(key reflect.Value) (text string, ok bool) {
	if key.Kind() == reflect.Interface {
		key = key.Elem()
	}
	if !key.IsValid() {
		return "null", false
	}
	return fmt.Sprint(key), key.Kind() == reflect.String || key.CanInt() || key.CanUint()
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
