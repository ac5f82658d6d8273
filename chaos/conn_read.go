package chaos

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// inbound is the direction that is read.
type inbound struct {
	mu       sync.Mutex // held by a Read while chaos is on
	deadline deadline
	late     *late       // under mu. nil: nothing
	isLate   atomic.Bool // late is not nil
}

// late is what has arrived, but not yet for the reader, whose deadline was earlier: it is there for the next Read.
type late struct {
	run   *run
	until time.Time // zero: until something else ends it
	bytes []byte
	err   error
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.reading.deadline.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.reading.deadline.set(t)
	c.writing.deadline.set(t)
	return c.Conn.SetDeadline(t)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.readNow(p)
	if err != nil {
		if ended := c.end.Load(); ended != nil {
			return n, ended.read
		}
	}
	return n, err
}

// readNow is Read, without regard to what has ended the connection.
func (c *conn) readNow(p []byte) (int, error) {
	if c.in.running() != nil || c.reading.isLate.Load() {
		c.reading.mu.Lock()
		defer c.reading.mu.Unlock()
		return c.read(p)
	}
	n, err := c.Conn.Read(p)
	if c.in.running() == nil {
		if n > 0 && c.sent.Load() {
			c.sent.Store(false)
		}
		return n, err
	}
	c.reading.mu.Lock() // it was switched on while we waited
	defer c.reading.mu.Unlock()
	return c.arrive(p, n, err)
}

// read is Read while chaos is on, or something is late.
func (c *conn) read(p []byte) (int, error) {
	r := c.in.running()
	if r == nil || len(p) == 0 {
		if c.reading.late != nil {
			return c.deliver(p)
		}
		return c.Conn.Read(p)
	}
	plan := c.plan(r)
	e := c.effects(plan, plan.in, false)
	switch {
	case e.fail != nil:
		return 0, e.fail
	case c.reading.late != nil:
		return c.deliver(p)
	}
	room := len(p)
	if e.shape != nil {
		room = e.shape.room(room)
	}
	n, err := c.Conn.Read(p[:max(room, 1)])
	if room <= 0 && n > 0 && !r.ended() { // it is cut where there would be more
		return 0, c.cut(e.shape).read
	}
	return c.arrive(p, n, err)
}

// arrive is for what the connection underneath has returned.
func (c *conn) arrive(p []byte, n int, err error) (int, error) {
	r := c.in.running()
	if r == nil || n == 0 && isTimeout(err) {
		return n, err
	}
	plan := c.plan(r)
	turned := n > 0 && c.sent.Swap(false)
	if turned {
		plan.turns++
	}
	e := c.effects(plan, plan.in, turned)
	if e.fail != nil { // what has come is there when the fault is over: nothing is missing in between
		c.keep(&late{r, time.Now(), append([]byte(nil), p[:n]...), err})
		plan.in += int64(n)
		return 0, e.fail
	}
	takes := e.delay
	if e.shape != nil {
		takes = sum(takes, e.shape.pass(p[:n]))
	}
	plan.in += int64(n)
	pause(r, e.deaf)
	return c.handOn(r, p[:n], err, max(takes, e.hold))
}

// handOn hands on what has arrived when its time has come. What has not by the deadline is kept.
func (c *conn) handOn(r *run, p []byte, err error, takes time.Duration) (int, error) {
	if takes <= 0 {
		return len(p), err
	}
	until := ending(takes)
	switch held := c.hold(&c.reading.deadline, r, until); {
	case held == nil:
		return len(p), err
	case isTimeout(held):
		c.keep(&late{r, until, append([]byte(nil), p...), err})
		return 0, held
	default:
		return 0, held
	}
}

func (c *conn) keep(l *late) {
	c.reading.late = l
	c.reading.isLate.Store(l != nil)
}

// deliver hands on what was late for an earlier Read.
func (c *conn) deliver(p []byte) (int, error) {
	l := c.reading.late
	if err := c.hold(&c.reading.deadline, l.run, l.until); err != nil {
		return 0, err
	}
	n := copy(p, l.bytes)
	if l.bytes = l.bytes[n:]; len(l.bytes) > 0 {
		return n, nil
	}
	c.keep(nil)
	return n, l.err
}

// hold waits until then, or until the run is over; not longer than the deadline and the connection allow.
func (c *conn) hold(d *deadline, r *run, until time.Time) error {
	r.held.Add(1)
	defer r.held.Add(-1)
	for {
		left := forever
		if !until.IsZero() {
			left = time.Until(until)
		}
		if left <= 0 || r.ended() {
			return nil
		}
		at, changed := d.get()
		if !at.IsZero() {
			if left = min(left, time.Until(at)); left <= 0 {
				return os.ErrDeadlineExceeded
			}
		}
		if err := c.sleep(r, left, changed); err != nil {
			return err
		}
	}
}

// sleep ends when any of these does.
func (c *conn) sleep(r *run, d time.Duration, changed <-chan struct{}) error {
	var over <-chan time.Time
	if d < forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-changed:
	case <-r.over.Done():
	case <-c.closed:
		return net.ErrClosed
	}
	return nil
}

// ending is the time after d; zero for forever.
func ending(d time.Duration) time.Time {
	if d == forever {
		return time.Time{}
	}
	return time.Now().Add(d)
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}
