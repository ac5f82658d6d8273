package holdfast_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/experiment/record"
)

const (
	patienceE9 = time.Second // of a client, for an attempt
	workE9     = time.Second / 300
	queueE9    = 64
	downE9     = 30 * time.Second
	upE9       = downE9 + 10*time.Second
	neverE9    = 30 // seconds after the outage
	lengthE9   = int(upE9/time.Second) + 2*neverE9
)

// modelE9 is the server, and what is counted of its clients. All times are since start.
type modelE9 struct {
	start time.Time

	mu            sync.Mutex         // never held in a wait
	free          time.Duration      // when the server has done all that it took in
	arrived, good [lengthE9 + 10]int // calls in each second
}

// run has calls arrive, each from one of the clients.
func (m *modelE9) run(rng *rand.Rand, clients []func() error) {
	var all sync.WaitGroup
	for at := time.Duration(0); ; {
		at += time.Duration(rng.ExpFloat64() / 280 * float64(time.Second))
		if at >= time.Duration(lengthE9)*time.Second {
			break
		}
		time.Sleep(at - time.Since(m.start))
		m.arrived[at/time.Second]++
		call := clients[rng.IntN(len(clients))]
		all.Go(func() {
			if call() == nil {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.good[time.Since(m.start)/time.Second]++
			}
		})
	}
	all.Wait()
}

// back is from the end of the outage to the last second that was worse than it has to be.
func (m *modelE9) back() float64 {
	const window = 5
	arrived, good, back := 0, 0, upE9
	for second := range lengthE9 {
		arrived += m.arrived[second]
		good += m.good[second]
		if second >= window {
			arrived -= m.arrived[second-window]
			good -= m.good[second-window]
		}
		if float64(good) < 0.95*float64(arrived) {
			back = max(back, time.Duration(second+1)*time.Second)
		}
	}
	return min((back - upE9).Seconds(), neverE9)
}

// goodput is a line of the chart.
func (m *modelE9) goodput() (s record.Series) {
	for second, n := range m.good[:lengthE9] {
		s.X = append(s.X, float64(second))
		s.Y = append(s.Y, float64(n))
	}
	return s
}

// attemptE9 asks the server until ctx ends. The server goes on with what it has begun.
type attemptE9 func(ctx context.Context) error

// clients returns a call of each client.
func (m *modelE9) clients(sides sidesE9) []func() error {
	var server *holdfast.Stack
	if sides.server != nil {
		server = sides.server()
	}
	calls := make([]func() error, sides.clients)
	for i := range calls {
		switch {
		case sides.client == nil && server == nil:
			calls[i] = plainly(m.direct(sides.bounded))
		case sides.client == nil:
			calls[i] = plainly(m.behind(server))
		case server == nil:
			stack, attempt := sides.client(), m.direct(sides.bounded)
			calls[i] = func() error { return stack.Run(context.Background(), attempt) }
		default:
			calls[i] = getE9(&http.Client{Transport: sides.client().Transport(inProcess{server.Handler(m)})})
		}
	}
	return calls
}

// plainly makes one retry, at once.
func plainly(attempt attemptE9) func() error {
	limited := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patienceE9)
		defer cancel()
		return attempt(ctx)
	}
	return func() error {
		if limited() == nil {
			return nil
		}
		return limited()
	}
}

var errFullE9 = errors.New("the queue is full")

// direct is an attempt at the server as it is.
func (m *modelE9) direct(bounded bool) attemptE9 {
	return func(ctx context.Context) error {
		takes, ok := m.takeIn(bounded)
		if !ok {
			return errFullE9
		}
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// takeIn returns how long the server takes for a call that comes now. It does not if its queue is bounded, and full.
func (m *modelE9) takeIn(bounded bool) (takes time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Since(m.start)
	waiting := m.free - now
	if m.free > upE9 && now < upE9 { // but for the outage
		waiting = m.free - upE9
	}
	if bounded && waiting > queueE9*workE9 {
		return 0, false
	}
	starts := max(now, m.free)
	if starts >= downE9 && starts < upE9 {
		starts = upE9
	}
	m.free = starts + workE9
	return m.free - now, true
}

// behind is an attempt at the server behind a stack of its own.
func (m *modelE9) behind(server *holdfast.Stack) attemptE9 {
	return func(ctx context.Context) error {
		answer := make(chan error, 1)
		go func() {
			answer <- server.Run(context.Background(), func(context.Context) error { m.work(); return nil })
		}()
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (m *modelE9) work() {
	takes, _ := m.takeIn(false)
	time.Sleep(takes)
}

// ServeHTTP is the server over HTTP.
func (m *modelE9) ServeHTTP(http.ResponseWriter, *http.Request) { m.work() }

// inProcess is the way to a server without a network. As in the model, the server does not hear that a client has gone.
type inProcess struct{ server http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := make(chan *http.Response, 1)
	go func() {
		w := httptest.NewRecorder()
		p.server.ServeHTTP(w, r.WithContext(context.Background()))
		answer <- w.Result()
	}()
	select {
	case resp := <-answer:
		return resp, nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// getE9 asks a server over HTTP.
func getE9(client *http.Client) func() error {
	return func() error {
		resp, err := client.Get("http://server.invalid/")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
}
