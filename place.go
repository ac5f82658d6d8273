package holdfast

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// beside puts a place before each line of an error about what is there.
func beside(at string, err error) error {
	return errors.New(at + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+at+": "))
}

// under puts a place before each line of an error about what is there, or in it.
func under(at string, err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		sep := "."
		if strings.HasPrefix(line, "want ") || strings.HasSuffix(line, " is there twice") && !strings.Contains(line, ": ") || inConfig.MatchString(line) {
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

// inConfig is what a Config says of itself.
var inConfig = regexp.MustCompile(`^[a-z]+\.[A-Za-z]*Config\.`)

// given are the fields of a policy as they stand in a document.
type given map[string]json.RawMessage

// ofConfig is a fault as the Configs tell it, of a field by its name in Go.
var ofConfig = regexp.MustCompile(`^[a-z]+\.[A-Za-z]*Config\.([A-Za-z]+)(\[\d+\])?(?:\.([A-Za-z]+))?: `)

// locate names fields in an error as the document does. One that is not there, because code has set it or nobody has, keeps its
// name in Go.
func (g given) locate(err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		m := ofConfig.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		key, index, inner := snake(m[1]), m[2], snake(m[3])
		at := key + index
		if inner != "" {
			at += "." + inner
		}
		if g.has(key, index, inner) {
			lines[i] = at + ": " + line[len(m[0]):]
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// has reports whether there is such a field, and in an object one within.
func (g given) has(key, index, inner string) bool {
	value, has := g[key]
	if !has || index != "" || inner == "" {
		return has
	}
	var within given
	_ = json.Unmarshal(value, &within) // none, if it is no object
	_, has = within[inner]
	return has
}

// without returns those that no line of err begins with.
func (g given) without(err error) given {
	rest := given{}
	for key, value := range g {
		told := false
		for line := range strings.SplitSeq(err.Error(), "\n") {
			after, found := strings.CutPrefix(line, place(key))
			told = told || found && after != "" && strings.Contains(":.[ ", after[:1])
		}
		if !told {
			rest[key] = value
		}
	}
	return rest
}

// goName is a field's name in Go; of two, one in the other, the outer one's.
var goName = regexp.MustCompile(`\b([A-Z][A-Za-z]+)(?:\.[A-Z][A-Za-z]+)?`)

// namedIn are the fields that what is wanted in a fault depends on: want at most MaxDelay; what follows is advice.
func namedIn(line string) (keys []string) {
	want, _, _ := strings.Cut(line[strings.LastIndex(line, ": want ")+1:], ";")
	for _, m := range goName.FindAllStringSubmatch(want, -1) {
		keys = append(keys, snake(m[1]))
	}
	return keys
}

// snake is a field's name in Go as documents write it: MaxDelay is max_delay.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
