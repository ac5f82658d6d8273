package bulkhead_test

// The published experiments E11 to E13, each in its own file: go test -run Experiment -v ./bulkhead prints their tables.
