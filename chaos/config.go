package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Config says what goes wrong. Nothing does until [Injector.Enable].
type Config struct {
	// Name labels errors and log lines.
	Name string

	// Seed decides, with the identity of each call, which faults strike it. Each number is a seed, 0 too.
	Seed uint64

	// Faults are gone through in this order. Those that make a call slow or its body bad let the next strike too; the others
	// end the call. Which faults strike a call does not depend on those that come after them here, so one can be added at the
	// end.
	Faults []Fault

	// Secret, if not empty, leaves all alone but requests with the header "Holdfast-Chaos: <Secret>" ([Header]) and calls under
	// a context that [WithSecret] made; a Handler makes one for those under it, so that a test reaches what its request
	// leads to in this process. Connections have neither. A Handler that is on takes the header away, lest a proxy under it passes
	// it on; a Transport lets it go to the server, where the Handler is.
	Secret string

	// RequestKey is the key of a request, for a Transport or a Handler: its id, say, for where requests come at once. Requests of
	// one key have one fate, but for the attempts of a retry, which are told apart by its header (Holdfast-Attempt): those of a
	// hedge or a failover are not, and need a [WithKey]. Default, and where it is empty: the key of the context.
	RequestKey func(*http.Request) string

	// Logger is told when it is switched on and off. nil: silent.
	Logger *slog.Logger
}

// maxFaults is far above any sensible Config, and bounds what a document can ask for.
const maxFaults = 1000

// check reports every field that cannot work.
func (c *Config) check(f *conf.Faults) {
	f.Want(len(c.Faults) <= maxFaults, "Faults", len(c.Faults), fmt.Sprintf("at most %d", maxFaults))
	for i := range c.Faults {
		c.Faults[i].check(f, fmt.Sprintf("Faults[%d].", i))
	}
}

// withDefaults is a copy that shares nothing.
func (c Config) withDefaults() Config {
	c.Faults = slices.Clone(c.Faults)
	for i := range c.Faults {
		f := &c.Faults[i]
		f.Name = conf.Or(f.Name, f.Kind.String())
		switch {
		case f.Kind == Status:
			f.Status = conf.Or(f.Status, http.StatusServiceUnavailable)
		case f.Kind == Corrupt && f.Body == "":
			f.Bytes = conf.Or(f.Bytes, 64)
		}
	}
	return c
}

// UnmarshalJSON reads {"name": "users", "seed": 1, "faults": [{"kind": "error", "rate": 0.1}, …], "secret": "…"}. Fields that
// are absent stay as they are; a field that nobody knows is an error.
func (c *Config) UnmarshalJSON(data []byte) error {
	err := append(c.fields(), conf.Field{Key: "secret", To: (*secretText)(&c.Secret)}).Unmarshal(data)
	if err != nil {
		return errors.New(places.Replace("\n" + err.Error())[1:])
	}
	return nil
}

// places makes paths of what is no field of a field.
var places = strings.NewReplacer("\nfaults.[", "\nfaults[", "\nfaults.:", "\nfaults:", "\nsecret.:", "\nsecret:")

// secretText is a text that an error about it does not show.
type secretText string

func (s *secretText) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*string)(s)) != nil {
		return errors.New(": want a string")
	}
	return nil
}

// MarshalJSON writes the fields that have a JSON form and are not zero, but the Secret.
func (c Config) MarshalJSON() ([]byte, error) { return c.fields().Marshal() }

// String is the JSON form, so that a Config that is printed does not tell the Secret.
func (c Config) String() string {
	text, err := c.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// GoString is for %#v: the same.
func (c Config) GoString() string { return "chaos.Config" + c.String() }

func (c *Config) fields() conf.Fields {
	return conf.Fields{
		{Key: "name", To: &c.Name},
		{Key: "seed", To: &c.Seed},
		{Key: "faults", To: (*faults)(&c.Faults)},
	}
}

// faults is a list that names the place of each fault in it; encoding/json has only the first, and no place.
type faults []Fault

func (fs *faults) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return errors.New(": want a list of faults")
	}
	read := make(faults, len(raw))
	var errs []error
	for i := range raw {
		if err := json.Unmarshal(raw[i], &read[i]); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				errs = append(errs, fmt.Errorf("[%d].%s", i, line))
			}
		}
	}
	*fs = read
	return errors.Join(errs...)
}
