package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// source is one of several databases that have the same data.
type source struct {
	name   string
	db     *sql.DB
	faults *faults // these count what it is asked, too
}

// kill breaks all connections, those too that are made anew, and revive ends that. The *sql.DB stays: it connects again by
// itself when its server is back.
func (s source) kill()   { s.faults.set(1000, 1000) }
func (s source) revive() { s.faults.set(0, 0) }

// copyOf makes a replica, as it is now. (Real ones follow the primary.)
func copyOf(ctx context.Context, primary *sql.DB, name, dir string) (source, error) {
	path := filepath.Join(dir, name+".db")
	if _, err := primary.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return source{}, err
	}
	db, f, err := connect(path)
	return source{name, db, f}, err
}

// library is a database for those who only read.
type library struct {
	sources []source // the last is the primary
	group   *failover.Group[*sql.DB]
	changes chan failover.Event
}

// newLibrary takes over the replicas, not the primary: they are closed by close, or at once if it fails.
func newLibrary(replicas []source, primary source) (*library, error) {
	l := &library{sources: append(slices.Clone(replicas), primary), changes: make(chan failover.Event, 100)}
	var targets []failover.Target[*sql.DB]
	for _, s := range l.sources {
		targets = append(targets, failover.Target[*sql.DB]{Name: s.name, Value: s.db})
	}
	// The primary is read from where too few of the replicas are well. With one of two that one keeps 70 % (it is expected
	// to bear 1.4 times its share: Overprovisioning), and the primary gets the rest.
	targets[len(targets)-1].Priority = 1
	var err error
	l.group, err = failover.New(failover.Config[*sql.DB]{
		Name:           "bank",
		Targets:        targets,
		Balance:        failover.LeastLoaded,
		AttemptTimeout: 500 * time.Millisecond, // a replica that hangs leaves the reader time for another
		FailoverIf:     movable,
		CountIf:        countable,
		OnChange:       l.changed,

		// So short that the program ends soon. The defaults, 5 s to 1 min and 10 s, are for servers that have to start.
		EjectFor:    50 * time.Millisecond,
		MaxEjectFor: 100 * time.Millisecond,
		SlowStart:   100 * time.Millisecond,
	})
	if err != nil {
		return nil, errors.Join(err, closeAll(replicas))
	}
	return l, nil
}

// changed tells of a change. It runs in the midst of a reader's call: where nobody listens, it does not wait.
func (l *library) changed(e failover.Event) {
	select {
	case l.changes <- e:
	default:
	}
}

// balance reads from whichever database is well. All of a reading belongs inside: rows that are read later are out of
// failover's sight.
func (l *library) balance(ctx context.Context, account int64) (int64, error) {
	return failover.Do(ctx, l.group, func(ctx context.Context, db *sql.DB) (balance int64, err error) {
		err = db.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE id = ?`, account).Scan(&balance)
		return balance, err
	})
}

// await waits for the change of a database to a state.
func (l *library) await(ctx context.Context, name string, to failover.State) (failover.Event, error) {
	for {
		select {
		case e := <-l.changes:
			if e.Target == name && e.To == to {
				return e, nil
			}
		case <-ctx.Done():
			return failover.Event{}, fmt.Errorf("%s is not %v: %w", name, to, context.Cause(ctx))
		}
	}
}

// asked is how many statements each database has got.
func (l *library) asked() (n []int64) {
	for _, s := range l.sources {
		n = append(n, s.faults.made.Load())
	}
	return n
}

func (l *library) close() error {
	return errors.Join(l.group.Close(), closeAll(l.sources[:len(l.sources)-1]))
}

func closeAll(all []source) error {
	var errs []error
	for _, s := range all {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// readers read balances until they are stopped.
type readers struct {
	stop       chan struct{}
	all        sync.WaitGroup
	read, lost atomic.Int64
	mu         sync.Mutex
	err        error // the first
}

// begin starts n of them, each with a pause after each read.
func (r *readers) begin(ctx context.Context, n int, pause time.Duration, balance func(context.Context, int64) (int64, error)) {
	r.stop = make(chan struct{})
	for i := range n {
		r.all.Go(func() {
			for account := int64(i); ; account++ {
				_, err := balance(ctx, account%accounts)
				r.note(err)
				select {
				case <-r.stop:
					return
				case <-time.After(pause):
				}
			}
		})
	}
}

func (r *readers) note(err error) {
	r.read.Add(1)
	if err == nil {
		return
	}
	r.lost.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *readers) end() {
	close(r.stop)
	r.all.Wait()
}

// replicated: reads go on over two replicas and the primary, while a replica is killed, and revived.
func replicated(ctx context.Context, out io.Writer, dir string, primary source) (err error) {
	var replicas []source
	for _, name := range []string{"replica-1", "replica-2"} {
		s, err := copyOf(ctx, primary.db, name, dir)
		if err != nil {
			return errors.Join(err, closeAll(replicas))
		}
		replicas = append(replicas, s)
	}
	l, err := newLibrary(replicas, primary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	var r readers
	r.begin(ctx, 4, time.Millisecond, l.balance)
	defer func() {
		r.end()
		fmt.Fprintf(out, "    reads: %d, lost: %d; attempts beside the first of a read: %d\n", r.read.Load(), r.lost.Load(), l.group.Snapshot().Failovers)
		if r.lost.Load() > 0 {
			err = errors.Join(err, fmt.Errorf("%d reads are lost, the first: %w", r.lost.Load(), r.err))
		}
	}()

	fmt.Fprintln(out, "reads over two replicas and a primary, and a replica dies")
	const while = 300 * time.Millisecond
	whole := l.during(out, "before", while)
	victim := replicas[0]
	victim.kill()
	e, err := l.await(ctx, victim.name, failover.Ejected)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "    %s is ejected: %s\n", e.Target, e.Why)
	without := l.during(out, "without it", while)
	victim.revive()
	if e, err = l.await(ctx, victim.name, failover.Healthy); err != nil {
		return err
	}
	fmt.Fprintf(out, "    %s is healthy: %s\n", e.Target, e.Why)
	time.Sleep(while) // its slow start, and more
	again := l.during(out, "with it", while)

	const primaryAt = 2
	if whole[primaryAt] > 0 || without[primaryAt] == 0 || again[primaryAt] > 0 {
		return fmt.Errorf("the primary got %d %%, %d %% and %d %% of the reads, want some while a replica was dead, and only then",
			whole[primaryAt], without[primaryAt], again[primaryAt])
	}
	return nil
}

// during returns the share of each database in the reads of a while, in percent.
func (l *library) during(out io.Writer, name string, while time.Duration) (shares []int64) {
	before := l.asked()
	time.Sleep(while)
	after := l.asked()
	all := int64(0)
	for i := range after {
		all += after[i] - before[i]
	}
	fmt.Fprintf(out, "    %-12s", name+":")
	for i, s := range l.sources {
		share := (after[i] - before[i]) * 100 / max(all, 1)
		fmt.Fprintf(out, " %s %2d %%", s.name, share)
		shares = append(shares, share)
	}
	fmt.Fprintln(out)
	return shares
}
