package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// backend is an HTTP server on loopback that fails by its plan.
type backend struct {
	addr  string
	plan  plan
	began time.Time

	requests    atomic.Int64 // that reached the handler
	connections atomic.Int64 // that were accepted

	mu     sync.Mutex
	random *rand.Rand
	server *http.Server // nil: down
	downs  []outage     // those that were

	stop    context.CancelFunc // ends stalls and the life of the backend
	stopped <-chan struct{}
	life    chan error // gets one value: how the life ended
}

// answer is what a healthy backend sends.
var answer = []byte(`{"status":"ok"}` + "\n")

// startBackend returns once the backend listens. The plan of its faults, drawn from the seed, begins then.
func startBackend(k kind, seed uint64, length time.Duration) (*backend, error) {
	// The name is in the seed, so that backends do not share their luck.
	var salt uint64
	for _, letter := range k.name {
		salt = salt<<8 | uint64(letter)
	}
	random := rand.New(rand.NewPCG(seed, salt))
	return startPlanned(k.schedule(random, length), random)
}

// startPlanned is startBackend with a plan that is not drawn.
func startPlanned(p plan, random *rand.Rand) (*backend, error) {
	ctx, stop := context.WithCancel(context.Background())
	b := &backend{
		plan:    p,
		random:  random,
		stop:    stop,
		stopped: ctx.Done(),
		life:    make(chan error, 1),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	b.addr = listener.Addr().String()
	b.serve(listener)
	b.began = time.Now()
	go func() { b.life <- b.live(ctx) }()
	return b, nil
}

func (b *backend) url() string { return "http://" + b.addr + "/" }

// ServeHTTP works for a moment and answers, unless it is time to fail.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.requests.Add(1)
	luck, work := b.draw()
	switch b.plan.at(time.Since(b.began), luck) {
	case busy:
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case stalled:
		select {
		case <-r.Context().Done(): // the client has given up
		case <-b.stopped:
		}
		panic(http.ErrAbortHandler)
	case reset:
		cut(w)
	default:
		time.Sleep(work)
		w.Write(answer)
	}
}

// draw is a request's luck, and how much work it is: 1 to 4 ms.
func (b *backend) draw() (luck float64, work time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.random.Float64(), time.Millisecond + time.Duration(b.random.Int64N(int64(3*time.Millisecond)))
}

// cut ends the connection without an answer, the hard way: the client sees a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes it as well, only more politely
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// live takes the backend down and up again when its plan says so, until it is stopped.
func (b *backend) live(ctx context.Context) error {
	for _, s := range b.plan {
		if s.fault != down {
			continue
		}
		if !b.wait(ctx, s.from) {
			return nil
		}
		b.close()
		b.noteDown()
		if !b.wait(ctx, s.to) {
			return nil
		}
		if err := b.comeBack(ctx); err != nil {
			return err
		}
	}
	return nil
}

// outage is a time when nobody listened.
type outage struct{ from, to time.Time } // to is zero: it lasts

func (b *backend) noteDown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.downs = append(b.downs, outage{from: time.Now()})
}

// outages are those that were so far.
func (b *backend) outages() []outage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.downs)
}

// wait reports false if the backend was stopped first.
func (b *backend) wait(ctx context.Context, until time.Duration) bool {
	timer := time.NewTimer(until - time.Since(b.began))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// comeBack listens on the backend's own port again. While it was free another program may have taken it, for a
// moment as a rule: the port of an outgoing connection.
func (b *backend) comeBack(ctx context.Context) error {
	var err error
	for range 100 {
		var listener net.Listener
		if listener, err = net.Listen("tcp", b.addr); err == nil {
			b.serve(listener)
			return nil
		}
		if !b.wait(ctx, time.Since(b.began)+10*time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("a backend could not come back: %w", err)
}

// serve answers whoever connects to listener, until close.
func (b *backend) serve(listener net.Listener) {
	server := &http.Server{
		Handler: b,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				b.connections.Add(1)
			}
		},
	}
	b.mu.Lock()
	b.server = server
	if n := len(b.downs); n > 0 {
		b.downs[n-1].to = time.Now()
	}
	b.mu.Unlock()
	go server.Serve(listener)
}

// close stops listening, and closes every connection.
func (b *backend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		b.server.Close()
		b.server = nil
	}
}

// end stops the backend for good. Its error is that of an outage which it could not end.
func (b *backend) end() error {
	b.stop()
	err := <-b.life
	b.close()
	return err
}
