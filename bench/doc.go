// Package bench measures holdfast beside other libraries, on the same work and in one run. It is a module of its own, so
// that users of holdfast never pull a peer.
//
//	go test -run '^$' -bench . -cpu 1,2 ./bench/...   # from the root: all of it, as go test prints it
//	go run ./bench/report                             # medians of five runs, ratios, bounds: RESULTS.md and its charts
//	go run ./bench/report -short                      # under a minute: prints the ratios, writes nothing
//
// A benchmark's name is its group, the job, and the side: BenchmarkStack/three/holdfast. The side "floor" is what no library
// can be below. To compare two commits, keep what each has measured and have benchstat compare it:
//
//	go run ./bench/report -only . -count 10 -raw old.txt   # at one commit; nothing else is written
//	go run ./bench/report -only . -count 10 -raw new.txt   # at the other
//	GOWORK=off go -C tools tool benchstat "$PWD/old.txt" "$PWD/new.txt"
package bench
