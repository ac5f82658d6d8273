package retry_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/retry"
)

// A Snapshot says when it is from, and its JSON is read back as what it was.
func TestSnapshotJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.MustNew(retry.Config{Name: "payments", MaxAttempts: 2, BaseDelay: -1, Budget: retry.MustNewBudget(retry.BudgetConfig{})})
		p.Run(t.Context(), func(context.Context) error { return errBoom })
		time.Sleep(time.Second)
		s := p.Snapshot()
		if !s.At.Equal(time.Now()) {
			t.Errorf("from %v, want %v", s.At, time.Now())
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		var again retry.Snapshot
		if json.Unmarshal(data, &fields) != nil || json.Unmarshal(data, &again) != nil {
			t.Fatalf("%s", data)
		}
		if fields["name"] != "payments" || fields["attempts"] != 2.0 || fields["suppressed"].(map[string]any)["max_attempts"] != 1.0 {
			t.Errorf("%s", data)
		}
		s.At, again.At = s.At.UTC().Round(0), again.At.UTC()
		if !reflect.DeepEqual(s, again) {
			t.Errorf("%+v\nbecame %+v", s, again)
		}
	})
	var none *retry.Policy
	if s := none.Snapshot(); !reflect.DeepEqual(s, retry.Snapshot{}) {
		t.Errorf("of nothing: %+v", s)
	}
}
