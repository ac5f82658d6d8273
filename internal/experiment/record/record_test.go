package record_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

// What is written is read again, in the order of its writing; what is no table is an error that names its file.
func TestWriteAndRead(t *testing.T) {
	folder := t.TempDir()
	want := []record.Table{
		{Test: "TestA", Title: "E1: a", Columns: []string{"", "b|c"}, Rows: [][]string{{"x", "y"}}, Notes: "n\nm", Goals: []record.Goal{{"p", "at most 3", "2", true}}},
		{Test: "TestA", Title: "E1: b", Reduced: true, Charts: []record.Chart{{Name: "c", Series: []record.Series{{"s", []float64{1, 2}, []float64{0.1, 3e9}}}, Spans: []record.Span{{"o", 1, 2}}, LogY: true}}},
		{Test: "TestB/x", Title: "E2: c"},
	}
	for i, number := range []int{1, 2, 1} {
		if err := want[i].Write(folder, number); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := record.Read(folder); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if err := os.WriteFile(filepath.Join(folder, "TestC-01.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := record.Read(folder); err == nil || !strings.Contains(err.Error(), "TestC-01.json") {
		t.Errorf("a broken table: %v", err)
	}
}
