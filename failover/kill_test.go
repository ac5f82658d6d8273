package failover_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/failover"
)

// way is how a backend is doing.
type way int32

const (
	well  way = iota
	slow      // it answers late, but not too late
	dead      // its listener and its connections are closed
	hung      // it accepts, and never answers
	sorry     // it refuses with a 503
	ways
)

var wayNames = [ways]string{"well", "slow", "dead", "hung", "sorry"}

// victim is a backend to which all of that is done. It keeps its address.
type victim struct {
	address string
	way     atomic.Int32
	mu      sync.Mutex
	server  *http.Server
	served  [ways]atomic.Int64
	hangs   sync.Map // requests that were hung, by their number
}

const requestHeader = "Test-Request"

func newVictim(t *testing.T) *victim {
	v := &victim{}
	v.start(t)
	t.Cleanup(func() { v.stop() })
	return v
}

func (v *victim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is := way(v.way.Load())
	v.served[is].Add(1)
	w.Header().Set(requestHeader, r.Header.Get(requestHeader))
	switch is {
	case hung:
		v.hangs.Store(r.Header.Get(requestHeader), true)
		<-r.Context().Done()
	case sorry:
		http.Error(w, "sorry", http.StatusServiceUnavailable)
	case slow:
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
		}
		io.WriteString(w, "yes")
	default:
		io.WriteString(w, "yes")
	}
}

func (v *victim) start(t *testing.T) {
	address := v.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	for err != nil && v.address != "" && !t.Failed() { // another program has the port, for a while
		time.Sleep(5 * time.Millisecond)
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.address = l.Addr().String()
	server := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	v.mu.Lock()
	v.server = server
	v.mu.Unlock()
	go server.Serve(l)
}

func (v *victim) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.server != nil {
		v.server.Close()
		v.server = nil
	}
}

func (v *victim) becomes(t *testing.T, to way) {
	from := way(v.way.Load())
	v.way.Store(int32(to))
	switch {
	case to == dead:
		v.stop()
	case from == dead:
		v.start(t)
	}
}

// TestKill kills, hangs, slows down and refuses three backends in turn, each for a while, and lets them come back, while
// they are called over HTTP, in each of the ways to choose. There is always one that is well, and has been for a while, so
// that no call that has time is to be lost: not one. The clock is the machine's, so nothing is said about times.
func TestKill(t *testing.T) {
	lasts := 20 * time.Second
	if testing.Short() || raceEnabled {
		lasts = 4 * time.Second
	}
	victims := []*victim{newVictim(t), newVictim(t), newVictim(t)}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var groups []*caller
	for _, balance := range balances {
		c := newCaller(t, balance, victims)
		groups = append(groups, c)
		for i := range c.ended {
			callers.Go(func() { c.calls(ctx, t, &c.ended[i]) })
		}
	}
	script(t, victims, groups, rand.New(rand.NewPCG(5, 18)), time.Now().Add(lasts))
	stop()
	callers.Wait()
	for _, c := range groups {
		c.report(t)
	}
	for is := range ways {
		n := int64(0)
		for _, v := range victims {
			n += v.served[is].Load()
		}
		t.Logf("%d requests to one that is %s", n, wayNames[is])
		if n == 0 && is != dead && lasts > 10*time.Second {
			t.Errorf("nothing went to one that is %s", wayNames[is])
		}
	}
}

// caller calls a group of the victims.
type caller struct {
	group      *failover.Group[*url.URL]
	client     *http.Client
	made, lost atomic.Int64
	ended      [4]atomic.Int64 // calls, of each goroutine
}

// sees reports whether the group takes the victim for one that is well.
func (c *caller) sees(victim int) bool {
	return c.group.Snapshot().Targets[victim].State == failover.Healthy
}

// over returns what says whether all calls that are under way now have ended.
func (c *caller) over() func() bool {
	var now [len(caller{}.ended)]int64
	for i := range c.ended {
		now[i] = c.ended[i].Load()
	}
	return func() bool {
		for i := range c.ended {
			if c.ended[i].Load() == now[i] {
				return false
			}
		}
		return true
	}
}

func newCaller(t *testing.T, balance failover.Balance, victims []*victim) *caller {
	var urls []string
	for _, v := range victims {
		urls = append(urls, "http://"+v.address)
	}
	c := &caller{group: group(t, failover.Config[*url.URL]{
		Balance: balance, AttemptTimeout: 500 * time.Millisecond, ConsecutiveFailures: 3,
		EjectFor: 50 * time.Millisecond, MaxEjectFor: 100 * time.Millisecond, SlowStart: 100 * time.Millisecond,
	}, urls...)}
	base := &http.Transport{MaxIdleConnsPerHost: 8}
	t.Cleanup(base.CloseIdleConnections)
	c.client = &http.Client{Transport: failover.Transport(c.group, onlyHungEnd(victims, base))}
	return c
}

// requests numbers them.
var requests atomic.Int64

// onlyHungEnd has the time limit of an attempt end those that were hung, as soon as that is known. The others end by themselves,
// and if this machine has no time for them, that is no fault of the group's.
func onlyHungEnd(victims []*victim, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx, number := r.Context(), strconv.FormatInt(requests.Add(1), 10)
		is := func(v *victim) bool { _, hung := v.hangs.Load(number); return hung }
		answered, over := make(chan struct{}), make(chan struct{})
		defer close(answered)
		go func() {
			select {
			case <-answered:
				return
			case <-ctx.Done():
			}
			for !slices.ContainsFunc(victims, is) {
				select {
				case <-answered:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			close(over)
		}()
		r = r.Clone(unhurried{ctx, over})
		r.Header.Set(requestHeader, number)
		resp, err := next.RoundTrip(r)
		if err == nil && resp.Header.Get(requestHeader) != number { // of another program, that has the port of one that is dead
			resp.Body.Close()
			return nil, errDown
		}
		return resp, err
	})
}

func (c *caller) calls(ctx context.Context, t *testing.T, ended *atomic.Int64) {
	for ctx.Err() == nil {
		c.made.Add(1)
		if got := get(t, c.client); got != "200 yes" {
			c.lost.Add(1)
			t.Errorf("%s\n%+v", got, c.group.Snapshot())
		}
		ended.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *caller) report(t *testing.T) {
	s := c.group.Snapshot()
	settled(t, s)
	if c.lost.Load() != 0 || s.Calls != uint64(c.made.Load()) || s.Successes != s.Calls || s.Failovers == 0 {
		t.Errorf("%d of %d calls are lost: %+v", c.lost.Load(), c.made.Load(), s)
	}
	t.Logf("%d calls, %d lost, %d failovers, %d late", s.Calls, c.lost.Load(), s.Failovers, s.Late)
}

// get makes one call, which has time for all targets.
func get(t *testing.T, client *http.Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resp, err := client.Do(request(t, http.MethodGet, "http://users/", nil).WithContext(ctx))
	return text(t, resp, err)
}

// script does something to all but one of the victims, for a while, and then to all but another, once that one is well, each
// group has seen it, and the calls from before have ended: a call may so find one that is well for as long as it takes.
func script(t *testing.T, victims []*victim, groups []*caller, r *rand.Rand, until time.Time) {
	for time.Now().Before(until) {
		spared := r.IntN(len(victims))
		victims[spared].becomes(t, well)
		await(t, func() bool { return !slices.ContainsFunc(groups, func(c *caller) bool { return !c.sees(spared) }) })
		over := make([]func() bool, len(groups))
		for i, c := range groups {
			over[i] = c.over()
		}
		await(t, func() bool { return !slices.ContainsFunc(over, func(is func() bool) bool { return !is() }) })
		for i, v := range victims {
			if i != spared {
				v.becomes(t, way(r.IntN(int(ways))))
			}
			time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		}
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
	}
}

// await waits; for how long is none of its business, as long as the test goes on.
func await(t *testing.T, is func() bool) {
	for !is() && !t.Failed() {
		time.Sleep(5 * time.Millisecond)
	}
}
