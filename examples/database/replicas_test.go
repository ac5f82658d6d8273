package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// testLibrary is two replicas and a primary.
func testLibrary(t *testing.T) *library {
	t.Helper()
	b, f := testBank(t, nil)
	dir := t.TempDir()
	var replicas []source
	for _, name := range []string{"replica-1", "replica-2"} {
		s, err := copyOf(t.Context(), b.db, name, dir)
		if err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, s)
	}
	l, err := newLibrary(replicas, source{"primary", b.db, f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// The recipe, under time that passes only while all wait.
func TestReplicated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, f := testBank(t, nil)
		var out bytes.Buffer
		if err := replicated(t.Context(), &out, t.TempDir(), source{"primary", b.db, f}); err != nil {
			t.Errorf("%v\n%s", err, &out)
		}
		t.Logf("\n%s", &out)
	})
}

// No read is lost, whichever of the databases dies and whichever two of them do, as long as one is left: neither of those
// under way nor of those that come. The dead are asked no more than it takes to find out.
func TestNoReadIsLost(t *testing.T) {
	for name, dead := range map[string][]int{
		"none": {}, "a replica": {0}, "the other": {1}, "both replicas": {0, 1},
		"the primary": {2}, "a replica and the primary": {1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := testLibrary(t)
				var r readers
				r.begin(t.Context(), 8, time.Millisecond, l.balance)
				time.Sleep(20 * time.Millisecond)
				before := l.asked()
				for _, i := range dead {
					l.sources[i].kill()
				}
				time.Sleep(40 * time.Millisecond) // an ejection lasts 50 ms
				after := l.asked()
				r.end()
				if n := r.lost.Load(); n > 0 || r.read.Load() < 400 {
					t.Errorf("%d of %d reads lost: %v", n, r.read.Load(), r.err)
				}
				for _, i := range dead {
					if n := after[i] - before[i]; n > 5+8 { // 5 in a row, and those under way meanwhile
						t.Errorf("%s was asked %d times when it was dead", l.sources[i].name, n)
					}
				}
			})
		})
	}
}

// A *sql.DB that is closed is as good as dead; one opened in its place under the same name gets its share again.
func TestClosedAndOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLibrary(t)
		read := func(n int) {
			t.Helper()
			for range n {
				if _, err := l.balance(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		read(50)
		closed := l.sources[0]
		if err := closed.db.Close(); err != nil {
			t.Fatal(err)
		}
		read(50)
		if s := l.group.Snapshot().Targets[0]; s.State != failover.Ejected || s.Name != closed.name {
			t.Fatalf("a closed database: %+v", s)
		}

		opened, err := copyOf(t.Context(), l.sources[2].db, "replica-1b", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l.sources[0] = opened
		err = l.group.Update([]failover.Target[*sql.DB]{
			{Name: closed.name, Value: opened.db},
			{Name: l.sources[1].name, Value: l.sources[1].db},
			{Name: l.sources[2].name, Value: l.sources[2].db, Priority: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // the ejection
		read(3)
		time.Sleep(100 * time.Millisecond) // the slow start
		read(100)
		if n := opened.faults.made.Load(); n < 20 {
			t.Errorf("%d reads of 103 from a database that is back", n)
		}
	})
}

// That there is no such row is an answer: no other database is asked, and it speaks against none.
func TestNoRowsIsAnAnswer(t *testing.T) {
	l := testLibrary(t)
	for range 20 {
		if _, err := l.balance(t.Context(), accounts); !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
	}
	s := l.group.Snapshot()
	if s.Failovers != 0 {
		t.Errorf("%d other databases were asked", s.Failovers)
	}
	for _, target := range s.Targets {
		if target.State != failover.Healthy || target.Failures != 0 {
			t.Errorf("%+v", target)
		}
	}
}

// With all of them dead the error has what each of those said that were asked.
func TestAllDead(t *testing.T) {
	l := testLibrary(t)
	for _, s := range l.sources {
		s.kill()
	}
	_, err := l.balance(context.Background(), 1)
	failed, ok := errors.AsType[*failover.Error](err)
	if !ok || len(failed.Tried) != 3 || !errors.Is(err, errReset) {
		t.Errorf("%v; want three that were tried", err)
	}
}

// Readers do not wait for those who listen to changes, of which there may be none.
func TestChangesAreNotWaitedFor(t *testing.T) {
	l := &library{changes: make(chan failover.Event, 1)}
	l.changed(failover.Event{Target: "heard"})
	l.changed(failover.Event{Target: "not heard"})
	if e := <-l.changes; e.Target != "heard" {
		t.Errorf("%+v", e)
	}
}

// Replicas that no library came of are closed.
func TestNoLibrary(t *testing.T) {
	b, f := testBank(t, nil)
	s, err := copyOf(t.Context(), b.db, "replica", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = newLibrary([]source{s}, source{"replica", b.db, f}); err == nil { // the name is taken
		t.Fatal("two of the same name")
	}
	if err := s.db.Ping(); err == nil {
		t.Error("the replica is open")
	}
	if err := b.db.Ping(); err != nil {
		t.Errorf("the primary: %v", err)
	}
}
