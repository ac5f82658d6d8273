package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/chaos"
)

// world is all that one combination has for itself: the stack of the client, those of the backends, and the fault.
type world struct {
	combination
	site     *site
	settings *settings
	calls    []*call

	stack    *holdfast.Stack
	entry    *tap      // above all of it
	most     int       // requests that it may make of one call, as it says itself; 0: it knows no bound
	policies []watched // of the client and of the backends
	chaos    map[place]*chaos.Injector

	transport *http.Transport
	wire      http.RoundTripper // what is below all policies
	client    *http.Client      // over all of them
	backends  []http.Handler

	sent        ledger // bodies of requests
	received    ledger // bodies of responses, as the stack gets them
	raw         ledger // the same, as net/http made them
	connections ledger // that the client has made

	began, ended time.Time // the calls

	struck     uint64 // how often the fault has
	complaints complaints
}

// newWorld makes the world of a combination.
func newWorld(c combination, seed uint64, at *site) (*world, error) {
	w := &world{combination: c, site: at}
	r := c.random(seed)
	var err error
	if w.settings, err = drawSettings(r, c.order); err != nil {
		return nil, err
	}
	if err = w.makeChaos(r.Uint64()); err != nil {
		return nil, err
	}
	w.calls = drawCalls(r, w.settings.doors())
	w.makeWire()
	if err = w.makeStack(); err != nil {
		return nil, err
	}
	for i := range backendsOfSite {
		backend, err := w.makeBackend(i)
		if err != nil {
			return nil, err
		}
		w.backends = append(w.backends, backend)
	}
	return w, nil
}

// makeChaos makes an injector for each place; the fault is in one of them.
func (w *world) makeChaos(seed uint64) error {
	w.chaos = make(map[place]*chaos.Injector)
	for _, at := range []place{client, server, network} {
		c := chaos.Config{Name: w.fault.String(), Seed: seed}
		if at == server {
			c.RequestKey = func(r *http.Request) string { return r.URL.Query().Get("call") }
		}
		if w.fault.at == at {
			f := w.fault.chaos
			f.Rate = w.settings.rate
			c.Faults = []chaos.Fault{f}
		}
		in, err := chaos.New(c)
		if err != nil {
			return err
		}
		w.chaos[at] = in
	}
	return nil
}

func (w *world) makeWire() {
	w.transport = &http.Transport{
		DialContext: (&dialer{ledger: &w.connections}).DialContext, Protocols: protocols(w.settings.http2),
		MaxIdleConnsPerHost: 20, DisableCompression: true,
	}
	raw := &bodies{&w.raw, w.transport}
	w.wire = &bodies{&w.received, &counted{chaos.Transport(w.chaos[client], raw)}}
}

// makeStack makes the stack of the client, with a tap above each policy.
func (w *world) makeStack() error {
	w.entry = &tap{faithful: w.settings.faithful}
	layers, bare := []holdfast.Runner{w.entry}, []holdfast.Runner(nil)
	for _, kind := range w.order {
		p, err := w.settings.client(kind, w.site.urls)
		if err != nil {
			return err
		}
		p.name, p.tap = kind, &tap{faithful: w.settings.faithful}
		if kind == "hedge" {
			p.tap.counts = hedgeable
		}
		p.columns = bounds
		if w.settings.functions {
			p.columns = exact
		}
		w.policies = append(w.policies, p)
		layers, bare = append(layers, p.tap, p.policy), append(bare, p.policy)
	}
	plain, err := holdfast.NewStack(bare...)
	if err != nil {
		return err
	}
	w.most = plain.Describe().Calls
	if w.stack, err = holdfast.NewStack(layers...); err != nil {
		return err
	}
	w.client = &http.Client{Transport: w.stack.Transport(w.wire)}
	return nil
}

// makeBackend makes the handler of a backend: what answers, its faults, and its stack.
func (w *world) makeBackend(i int) (http.Handler, error) {
	var layers []holdfast.Runner
	for _, kind := range w.settings.serverSide {
		p, err := w.settings.server(kind)
		if err != nil {
			return nil, err
		}
		p.name, p.tap = fmt.Sprintf("%s of server %c", kind, 'a'+i), &tap{}
		w.policies = append(w.policies, p)
		layers = append(layers, p.tap, p.policy)
	}
	stack, err := holdfast.NewStack(layers...)
	if err != nil {
		return nil, err
	}
	var h http.Handler = http.HandlerFunc(w.serve)
	if w.settings.outermost {
		return chaos.Handler(w.chaos[server], stack.Handler(h)), nil
	}
	return stack.Handler(chaos.Handler(w.chaos[server], h)), nil
}

// enable lets the calls come, and the fault strike.
func (w *world) enable() {
	w.site.world.Store(w)
	for _, in := range w.chaos {
		in.Enable()
	}
}

// longest is how long it may take until nothing is under way any more. It takes milliseconds; the rest is for machines that
// have something else to do. Tests do not wait so long for what never comes.
var longest = 10 * time.Second

// settle lets go of what the fault holds, and waits until nothing is under way. What then is not as it should be is a
// complaint, and the result false.
func (w *world) settle() (settled bool) {
	for _, in := range w.chaos {
		in.Disable()
		for _, f := range in.Snapshot().Faults {
			w.struck += f.Struck
		}
	}
	end := time.Now().Add(longest)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*ms) {
		w.closeIdle()
		what := w.unsettled()
		if settled = len(what) == 0; settled {
			break
		}
		if time.Now().After(end) {
			for _, text := range what {
				w.complain("%s", text)
			}
			break
		}
		time.Sleep(pause)
	}
	if text := w.site.strange.Swap(nil); text != nil {
		w.complain("a server has panicked by itself: %s", *text)
	}
	w.site.world.Store(nil)
	return settled
}

// closeIdle closes connections that nobody uses, through all layers.
func (w *world) closeIdle() { w.client.CloseIdleConnections() }

// unsettled is what is not in order when all calls have returned.
func (w *world) unsettled() (what []string) {
	if made, seen := uint64(len(w.calls)), w.entry.calls(); made != seen {
		what = append(what, fmt.Sprintf("%d calls were made, and %d have come to the stack", made, seen))
	}
	for i := range w.policies {
		if text := w.policies[i].unsettled(); text != "" {
			what = append(what, text)
		}
	}
	for _, l := range []struct {
		*ledger
		of string
	}{
		{&w.sent, "bodies of requests"},
		{&w.received, "bodies of responses"},
		{&w.raw, "bodies of responses under chaos"},
		{&w.connections, "connections of the client"},
		{&w.site.connections, "connections of the servers"},
	} {
		if n := l.open(); n != 0 {
			what = append(what, fmt.Sprintf("%d of %d %s are open", n, l.opened.Load(), l.of))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(w.chaos)) {
		if n := w.chaos[at].Snapshot().Held; n != 0 {
			what = append(what, fmt.Sprintf("%d are held by faults of the %s", n, at))
		}
	}
	return what
}
