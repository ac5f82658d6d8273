package chaos

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn returns c with faults in its bytes. A nil in is c itself; one that is off passes bytes on as they are.
//
// What strikes a connection is decided by its number, counted together with calls from Enable on: in the order in which they are
// accepted or made, for those that are there already in that of their next use. Rate is the share of connections. The schedule
// counts while the connection lives: a fault that is not in force leaves it alone, and has it again later.
//
// Kinds Panic and Status do not strike connections, and Config.Secret keeps all faults from them.
func Conn(in *Injector, c net.Conn) net.Conn {
	if in == nil {
		return c
	}
	f := &conn{Conn: c, in: in, closed: make(chan struct{})}
	f.sent.Store(true)
	if r := in.running(); r != nil {
		f.plan(r) // its number is that of now
	}
	return f
}

// conn is a connection with faults.
type conn struct {
	net.Conn
	in *Injector

	mu      sync.Mutex
	planned *plan

	reading inbound
	writing outbound

	sent   atomic.Bool // something was, since the last that arrived
	close  sync.Once
	closed chan struct{}
	end    atomic.Pointer[end] // nil: no fault has ended it
}

// end is what each direction of a connection says that a fault has ended, whichever of them it was that met the fault.
type end struct{ read, write error }

// NetConn returns the connection underneath, as that of tls.Conn does.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close ends all Reads and Writes, those too that are held, unless they are deaf.
func (c *conn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// cut ends the connection.
func (c *conn) cut(s *shape) *end {
	if s.cut.Kind == Reset {
		err := s.over(errReset)
		c.end.CompareAndSwap(nil, &end{err, err})
		resetConn(c.Conn)
	} else {
		// As if the other side had closed it. To a reader that looks like an end: that is what makes it dangerous.
		c.end.CompareAndSwap(nil, &end{io.EOF, s.over(io.ErrClosedPipe)})
	}
	_ = c.Close()
	return c.end.Load()
}

// CloseWrite is there because net/http asks for it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errCannotCloseWrite
}

// ReadFrom keeps sendfile, while chaos is off when it begins.
func (c *conn) ReadFrom(src io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok && c.in.running() == nil {
		c.sent.Store(true)
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{c}, src)
}

// plan is which faults a connection has in a run, whenever they are in force.
type plan struct {
	run      *run
	identity uint64
	meant    []bool // by fault
	noted    []bool // by fault: counted

	turns   uint64 // how often the first bytes after something was sent have arrived
	in, out int64  // bytes that went through; each under the lock of its direction
}

// plan returns that of the run.
func (c *conn) plan(r *run) *plan {
	c.mu.Lock()
	p := c.planned
	c.mu.Unlock()
	if p != nil && p.run == r {
		return p
	}
	p = &plan{run: r, meant: make([]bool, len(c.in.cfg.Faults)), noted: make([]bool, len(c.in.cfg.Faults))}
	for i := range p.meant {
		p.meant[i] = c.in.cfg.Secret == "" && c.in.cfg.Faults[i].forConn(c.Conn) // the user's code: not under the lock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planned == nil || c.planned.run != r {
		p.identity = r.identity()
		c.planned = p
	}
	return c.planned
}

// effects are the faults that strike a connection now.
type effects struct {
	fail  error
	hold  time.Duration // of black holes: how long they last
	delay time.Duration // of what arrives first
	deaf  time.Duration // likewise
	shape *shape
}

// effects looks at each fault. turned is for what arrives first after something was sent.
func (c *conn) effects(p *plan, at int64, turned bool) (e effects) {
	for i := range c.in.cfg.Faults {
		f := &c.in.cfg.Faults[i]
		d := c.in.dice(p.identity, i)
		if !p.meant[i] || !p.run.strikes(f, &d) {
			continue
		}
		if f.Kind.in(Latency, Deaf) {
			if !turned {
				continue
			}
			d = c.in.dice(mix(p.identity+p.turns), i)
		}
		c.note(p, i)
		e.add(c, p, f, &d)
	}
	if e.shape != nil {
		e.shape.at = at
	}
	return e
}

func (e *effects) add(c *conn, p *plan, f *Fault, d *dice) {
	switch f.Kind {
	case Failure:
		if e.fail == nil {
			e.fail = c.in.failure(f, d)
		}
	case BlackHole:
		e.hold = max(e.hold, f.Schedule.left(time.Since(p.run.start)))
	case Latency:
		e.delay = sum(e.delay, f.Delay.draw(d))
	case Deaf:
		e.deaf = sum(e.deaf, f.Delay.draw(d))
	default:
		e.shape = e.shape.with(c.in, p.run, f, d)
	}
}

// note counts a fault once a connection.
func (c *conn) note(p *plan, i int) {
	c.mu.Lock()
	first := !p.noted[i]
	p.noted[i] = true
	c.mu.Unlock()
	if first {
		p.run.struck[i].Add(1)
	}
}
