package conf

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fields are the parts of a Config that have a JSON form: each its key, and a pointer to the Go field
// (*string, *int, *int64, *float64, *bool, *time.Duration, or anything that encoding/json knows).
// encoding/json has no form for a duration, and stops at the first fault; here a duration is text such as
// "250ms", and every fault is in the error.
type Fields []Field

// Field is one of them.
type Field struct {
	Key string
	To  any
}

// Unmarshal reads a JSON object. Keys that are absent leave their field alone; a key that nobody knows is a fault.
// Nothing is set if anything is wrong.
func (fs Fields) Unmarshal(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return noObject(clip(data))
		}
		return err
	}
	var errs []error
	var set []func()
	for _, f := range fs {
		value, given := raw[f.Key]
		delete(raw, f.Key)
		if !given {
			continue
		}
		assign, err := f.decode(value)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set = append(set, assign)
	}
	for _, key := range sortedKeys(raw) {
		errs = append(errs, fmt.Errorf("%s: no such field: want one of %s", clipKey(key), fs.keys()))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, assign := range set {
		assign()
	}
	return nil
}

// decode reads one value without setting the field yet.
func (f Field) decode(value json.RawMessage) (assign func(), err error) {
	to := reflect.ValueOf(f.To).Elem()
	if bytes.Equal(value, []byte("null")) {
		return to.SetZero, nil
	}
	if to.Type() == reflect.TypeFor[time.Duration]() {
		var text string
		if json.Unmarshal(value, &text) == nil {
			if d, err := time.ParseDuration(text); err == nil {
				return func() { to.SetInt(int64(d)) }, nil
			}
		}
		return nil, fmt.Errorf(`%s: %s: want a duration such as "5s"`, f.Key, clip(value))
	}
	read := copied(to)
	if err := json.Unmarshal(value, read.Interface()); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field == "" {
			return nil, fmt.Errorf("%s: %s: want %s", f.Key, clip(value), describe(to.Type()))
		}
		if _, word := f.To.(encoding.TextUnmarshaler); word { // its error says what it would take
			_, want, _ := strings.Cut(err.Error(), "want ")
			return nil, fmt.Errorf("%s: %s: want %s", f.Key, clip(value), want)
		}
		if none, ok := errors.AsType[noObject](err); ok {
			return nil, fmt.Errorf("%s: %w", f.Key, none)
		}
		return nil, nest(f.Key, err)
	}
	return func() { to.Set(read.Elem()) }, nil
}

// copied is a pointer to a copy of v if that is a struct or points to one, of which nothing is shared then: a Config in a
// Config keeps what the document does not name, as the outer one does. Of anything else it is a pointer to nothing.
func copied(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type())
	switch {
	case v.Kind() == reflect.Struct:
		c.Elem().Set(v)
	case v.Kind() == reflect.Pointer && !v.IsNil():
		c.Elem().Set(copied(v.Elem()))
	}
	return c
}

// noObject is what stands where an object should.
type noObject string

func (e noObject) Error() string { return string(e) + ": want an object" }

// nest puts the outer key before each line of an inner Config's error.
func nest(key string, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = key + "." + lines[i]
	}
	return errors.New(strings.Join(lines, "\n"))
}

// Marshal writes the fields that are not zero, in their order.
func (fs Fields) Marshal() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for _, f := range fs {
		from := reflect.ValueOf(f.To).Elem()
		if from.IsZero() {
			continue
		}
		value := from.Interface()
		if d, ok := value.(time.Duration); ok {
			value = d.String()
		}
		data, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Key, err)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", f.Key, data)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func (fs Fields) keys() string {
	keys := make([]string, len(fs))
	for i, f := range fs {
		keys[i] = f.Key
	}
	return strings.Join(keys, ", ")
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	default:
		return "a " + t.String()
	}
}

// clip keeps an error readable when the value is not.
func clip(value []byte) string {
	const most = 60
	line := strings.Join(strings.Fields(string(value)), " ") // one fault is one line
	if len(line) > most {
		return strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

// clipKey is clip for a key of the document: one fault is one line, whatever the key.
func clipKey(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` || key == "" {
		return clip([]byte(quoted))
	}
	return clip([]byte(key))
}
