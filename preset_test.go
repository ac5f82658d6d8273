package holdfast_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/bulkhead"
	"github.com/holdfast-go/holdfast/retry"
)

var presets = map[string]func(string) holdfast.Plan{
	"HTTPClient": holdfast.HTTPClient, "HTTPServer": holdfast.HTTPServer, "Database": holdfast.Database, "Queue": holdfast.Queue,
}

// Each number of a preset has a reason, the reason has that number, and nothing in the stack is found to do harm.
func TestPresets(t *testing.T) {
	for name, preset := range presets {
		t.Run(name, func(t *testing.T) {
			p := preset("users")
			s, err := p.Stack()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(s.String(), "users: ") {
				t.Error(s)
			}
			if found := s.For(holdfast.Traffic{PerSecond: 100, Deadline: time.Minute}).Check(); len(found) > 0 {
				t.Errorf("%v: %v", s, found)
			}
			numbers := numbersOf(reflect.ValueOf(p), "")
			for _, r := range p.Reasons {
				if numbers[r.Field] != r.Value || r.Why == "" {
					t.Errorf("%+v, but it is %q", r, numbers[r.Field])
				}
				delete(numbers, r.Field)
			}
			for field, value := range numbers {
				t.Errorf("%s is %s, and no reason says why", field, value)
			}
		})
	}
}

// What a broker that restarts is sent meanwhile, and after: all of it arrives, though the breaker opens, and it is not asked much.
func TestQueueIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := holdfast.Queue("orders").Stack()
		if err != nil {
			t.Fatal(err)
		}
		const messages, down = 40, 15 * time.Second
		began := time.Now()
		var attempts atomic.Int32
		var all sync.WaitGroup
		for i := range messages {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / 2)
				if err := s.Run(t.Context(), func(context.Context) error {
					if attempts.Add(1); time.Since(began) < down {
						return errDown
					}
					return nil
				}); err != nil {
					t.Errorf("message %d is lost: %v", i, err)
				}
			})
		}
		all.Wait()
		if n := attempts.Load(); n > messages+10 {
			t.Errorf("%d attempts for %d messages", n, messages)
		}
	})
}

// numbersOf are the fields of a plan that are numbers and set.
func numbersOf(v reflect.Value, path string) map[string]string {
	all := map[string]string{}
	for i := range v.NumField() {
		f, name := v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, ".")
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		switch f.Kind() {
		case reflect.Struct:
			if !f.Type().ConvertibleTo(reflect.TypeFor[retry.Budget]()) {
				for k, value := range numbersOf(f, name) {
					all[k] = value
				}
			}
		case reflect.Int, reflect.Int64, reflect.Float64:
			if !f.IsZero() {
				all[name] = fmt.Sprint(f.Interface())
			}
		}
	}
	return all
}

// All fields are open to change, and what then cannot work is said at once, all of it.
func TestPlanFaults(t *testing.T) {
	p := holdfast.HTTPClient("users")
	p.Retry.MaxDelay, p.Bulkhead = -1, &bulkhead.Config{}
	_, err := p.Stack()
	if err == nil || !strings.Contains(err.Error(), "retry.Config.MaxDelay: -1ns") || !strings.Contains(err.Error(), "bulkhead.Config.Limit: 0") {
		t.Error(err)
	}
	if s, err := (holdfast.Plan{}).Stack(); err != nil || s.String() != "nothing" {
		t.Error(s, err)
	}
}
