package chaos

import (
	"sync"
	"time"
)

// outbound is the direction that is written.
type outbound struct {
	mu       sync.Mutex // held by a Write while chaos is on
	deadline deadline
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writing.deadline.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.writeNow(p)
	if err != nil {
		if ended := c.end.Load(); ended != nil {
			return n, ended.write
		}
	}
	return n, err
}

// writeNow is Write, without regard to what has ended the connection.
func (c *conn) writeNow(p []byte) (int, error) {
	if !c.sent.Load() {
		c.sent.Store(true)
	}
	if c.in.running() == nil || len(p) == 0 {
		return c.Conn.Write(p)
	}
	c.writing.mu.Lock()
	defer c.writing.mu.Unlock()
	written := 0
	for written < len(p) {
		n, err := c.writeSome(p[written:])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// writeSome writes what may go at once: that may be nothing.
func (c *conn) writeSome(p []byte) (int, error) {
	r := c.in.running()
	if r == nil {
		return c.Conn.Write(p)
	}
	plan := c.plan(r)
	e := c.effects(plan, plan.out, false)
	switch {
	case e.fail != nil:
		return 0, e.fail
	case e.hold > 0:
		return 0, c.hold(&c.writing.deadline, r, ending(e.hold))
	case e.shape == nil:
		n, err := c.Conn.Write(p)
		plan.out += int64(n)
		return n, err
	}
	room := e.shape.room(len(p))
	if room <= 0 {
		return 0, c.cut(e.shape).write
	}
	some := p[:room]
	if !e.shape.harmless() {
		some = append([]byte(nil), some...)
	}
	takes := e.shape.pass(some)
	n, err := c.Conn.Write(some)
	plan.out += int64(n)
	if err == nil && takes > 0 {
		err = c.trickle(r, takes, room == len(p))
	}
	return n, err
}

// trickle is how long bytes take that were written. If they were the last, the deadline is too late for them.
func (c *conn) trickle(r *run, takes time.Duration, last bool) error {
	err := c.hold(&c.writing.deadline, r, ending(takes))
	if last {
		return nil
	}
	return err
}
