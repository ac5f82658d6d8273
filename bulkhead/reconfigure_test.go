package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/bulkhead"
)

func reconfigure(t *testing.T, b *bulkhead.Bulkhead, c bulkhead.Config) {
	t.Helper()
	if err := b.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
}

// wantAll is want for those whose turn came at one moment, in any order.
func (l *line) wantAll(when string, fates ...string) {
	l.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Sort(l.fates); !slices.Equal(l.fates, fates) {
		l.t.Errorf("%s: %q, want %q", when, l.fates, fates)
	}
	l.fates = nil
}

// asText is a Config that can be compared, but for what it calls.
func asText(t *testing.T, c bulkhead.Config) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The books, what is known of calls, and the calls that are there stay as they are.
func TestReconfigureKeepsWhatItHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "slots", Limit: 2, Queue: 2, Interval: -1})
		for i := range 5 {
			_ = b.Run(t.Context(), func(context.Context) error {
				time.Sleep(30 * time.Millisecond)
				return []error{nil, errStorm, context.Canceled}[i%3]
			})
		}
		l := &line{t: t, b: b, holds: time.Second}
		for i := range 5 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 0)
		}
		l.wantAll("two run, two wait", "0", "1", "4:queue_full")
		before := b.Snapshot()
		if before.Waits.Max != 0 || before.InUse != 2 || before.Queued != 2 || before.Failures != 2 || before.Calls.Mean == 0 {
			t.Fatalf("%+v", before)
		}
		reconfigure(t, b, bulkhead.Config{Name: "another", Limit: 1, Queue: 7, MaxWait: time.Minute, Interval: -1, NoSpans: true})
		want := before
		want.Limit, want.QueueLimit = 1, 7
		if after := b.Snapshot(); !reflect.DeepEqual(after, want) {
			t.Errorf("%+v, want %+v", after, want)
		}
		want.Limit = 2
		if got := b.Config(); got.Name != "slots" || got.MaxWait != time.Minute || got.Queue != 7 || got.Limit != 1 || !got.NoSpans {
			t.Errorf("%+v", got)
		}
		time.Sleep(10 * time.Second)
		l.wantAll("all have had their turn", "2", "3")
		if s := b.Snapshot(); s.InUse != 0 || s.Successes != 6 || s.Waited != 2 || s.Waits.Max != 2*time.Second {
			t.Errorf("in the end: %+v", s)
		}
	})
}

// What Config returns, and a Config whose defaults are spelled out, are the same settings.
func TestReconfigureTheSame(t *testing.T) {
	for _, c := range []bulkhead.Config{
		{Limit: 3},
		{Name: "slots", Limit: 3, Queue: 2, MaxWait: time.Second, Interval: -1, Rate: 2.5},
		{Adaptive: &bulkhead.Adaptive{Max: 30, Initial: 20}, ReleaseAtHeader: true},
	} {
		b := bulkhead.MustNew(c)
		was := asText(t, b.Config())
		for _, again := range []bulkhead.Config{c, b.Config()} {
			reconfigure(t, b, again)
			if got := asText(t, b.Config()); got != was {
				t.Errorf("%s, want %s", got, was)
			}
		}
	}
}

// A larger Limit lets those who wait in at once; a smaller one takes effect as calls end, which give back what they have, once.
func TestReconfigureLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 2, Queue: 10, Interval: -1}
		b := bulkhead.MustNew(c)
		old := takeRest(t, b, 0, 2)
		l := &line{t: t, b: b, holds: time.Hour}
		for i := range 4 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 2*time.Hour)
		}
		c.Limit = 5
		reconfigure(t, b, c)
		l.wantAll("three more", "0", "1", "2")
		c.Limit = 1
		reconfigure(t, b, c)
		for range 2 {
			giveBack(old)
		}
		l.want("there still are three", "")
		if s := b.Snapshot(); s.InUse != 3 || s.Limit != 1 || s.Queued != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		l.want("the last", "3")
		time.Sleep(time.Hour)
		synctest.Wait()
		resize(t, b, 4)
		reconfigure(t, b, c)
		giveBack(takeAll(t, b, 1)) // not what was set by Resize
	})
}

// Those who wait stay where they are when the Queue becomes smaller. Nobody joins them until they are fewer.
func TestReconfigureQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 1, Queue: 3, Interval: -1}
		b := bulkhead.MustNew(c)
		l := &line{t: t, b: b, holds: time.Second}
		for i := range 4 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 0)
		}
		l.want("it is full", "0")
		c.Queue = 2
		reconfigure(t, b, c)
		l.join("x", bulkhead.Normal, 0)
		l.want("too many wait", "x:queue_full")
		time.Sleep(time.Second + time.Millisecond)
		l.join("y", bulkhead.Normal, 0)
		l.wantAll("as many wait as may", "1", "y:queue_full")
		time.Sleep(time.Second + time.Millisecond)
		l.join("z", bulkhead.Normal, 0)
		l.want("fewer", "2")
		c.Queue = 0
		reconfigure(t, b, c)
		l.join("x", bulkhead.Normal, 0)
		l.want("there is no queue", "x:full")
		time.Sleep(2*time.Second + time.Millisecond)
		l.wantAll("but for those who are in it", "3", "z")
		time.Sleep(time.Second)
	})
}

// A call waits for the MaxWait with which it began to wait.
func TestReconfigureMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 1, Queue: 10, MaxWait: 10 * time.Second, Interval: -1}
		b := bulkhead.MustNew(c)
		defer giveBack(takeRest(t, b, 0, 1))
		l := &line{t: t, b: b}
		l.join("ten", bulkhead.Normal, 0)
		synctest.Wait()
		c.MaxWait = time.Second
		reconfigure(t, b, c)
		l.join("one", bulkhead.Normal, 0)
		synctest.Wait()
		c.MaxWait = 0
		reconfigure(t, b, c)
		l.join("minute", bulkhead.Normal, time.Minute)
		time.Sleep(time.Second)
		l.want("a second", "one:max_wait")
		time.Sleep(9 * time.Second)
		l.want("ten seconds", "ten:max_wait")
		time.Sleep(50 * time.Second)
		l.want("a minute", "minute:ended")
	})
}

// The order of the queue is by the settings of now: newest first, and who has waited too long is refused.
func TestReconfigureInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 1, Queue: 10, Interval: -1}
		b := bulkhead.MustNew(c)
		free := takeRest(t, b, 0, 1)
		l := &line{t: t, b: b}
		for i := range 3 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 0)
			time.Sleep(time.Second)
		}
		c.Interval, c.Target = time.Second, 1500*time.Millisecond
		reconfigure(t, b, c)
		l.wantAll("too late for these", "0:overload", "1:overload")
		giveBack(free)
		l.want("the newest", "2")
	})
}

// tokens takes all there are.
func tokens(t *testing.T, b *bulkhead.Bulkhead) (n int) {
	t.Helper()
	for {
		p, err := b.TryAcquire()
		if err != nil {
			if what(err) != "rate" {
				t.Error(err)
			}
			return n
		}
		p.Done(nil)
		n++
	}
}

// The tokens are kept, also while there is no Rate.
func TestReconfigureRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 100, Rate: 10, Burst: 10}
		b := bulkhead.MustNew(c)
		giveBack(takeRest(t, b, 0, 4))
		c.Rate, c.Burst = 1, 20
		reconfigure(t, b, c)
		time.Sleep(2 * time.Second)
		if n := tokens(t, b); n != 8 {
			t.Errorf("%d tokens, want the six that were left and two", n)
		}
		time.Sleep(15 * time.Second)
		c.Burst = 5
		reconfigure(t, b, c)
		if n := tokens(t, b); n != 5 {
			t.Errorf("%d tokens, want the new Burst", n)
		}
		off := bulkhead.Config{Limit: 100}
		reconfigure(t, b, off)
		giveBack(takeAll(t, b, 100))
		reconfigure(t, b, c)
		if n := tokens(t, b); n != 0 {
			t.Errorf("%d tokens, want none as before", n)
		}

		fresh := bulkhead.MustNew(off)
		reconfigure(t, fresh, c)
		if n := tokens(t, fresh); n != 5 {
			t.Errorf("%d tokens at first, want a burst", n)
		}
	})
}

// Those who wait for a token wait for it as it comes now; and at once for a place alone, if there is no Rate any more.
func TestReconfigureRateOfThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 3, Queue: 10, Interval: -1, Rate: 1.0 / 600, Burst: 1}
		b := bulkhead.MustNew(c)
		giveBack(takeRest(t, b, 0, 1))
		l := &line{t: t, b: b, holds: time.Second}
		for i := range 6 {
			l.join(fmt.Sprint(i), bulkhead.Normal, 3*time.Hour)
		}
		time.Sleep(time.Minute)
		l.want("no token", "")
		faster := c
		faster.Rate = 0.9
		reconfigure(t, b, faster)
		time.Sleep(time.Second + time.Millisecond)
		l.want("a token a second, and a tenth from the minute before", "0")
		slower := c
		slower.Rate = 1.0 / 1200
		reconfigure(t, b, slower)
		time.Sleep(20*time.Minute + 2*time.Second)
		l.want("twenty minutes", "1")
		c.Rate, c.Burst = 0, 0
		reconfigure(t, b, c)
		l.wantAll("no rate, three places", "2", "3", "4")
		reconfigure(t, b, faster)
		time.Sleep(2 * time.Second)
		l.want("a place and a token", "5")
		time.Sleep(3 * time.Hour)
	})
}

// A call that has not paid with a token gives none back; one that has does.
func TestReconfigureRateUnpaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.KeyedConfig{Total: 2, Config: bulkhead.Config{Limit: 2, Queue: 10, Interval: -1}}
		k := bulkhead.MustNewKeyed[string](c)
		hold := takeRest(t, k.Get("b"), 0, 2)
		l := &line{t: t, b: k.Get("a")}
		l.join("unpaid", bulkhead.Normal, 0) // it has its key's place, and waits for one of the total's
		c.Rate, c.Burst = 1e-6, 5
		if err := k.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		leavePaid := l.join("paid", bulkhead.Normal, 0)
		free := func(want int) {
			t.Helper()
			giveBack(hold)
			if n := tokens(t, k.Get("a")); n != want {
				t.Errorf("%d tokens, want %d", n, want)
			}
		}
		leavePaid()
		l.want("it was given back", "paid:ended")
		giveBack(hold[:1])
		l.want("there is a place", "unpaid")
		hold = append(hold[1:], takeRest(t, k.Get("c"), 0, 1)...)
		free(5)

		hold = takeRest(t, k.Get("d"), 0, 2)
		c.Rate, c.Burst = 0, 0
		if err := k.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		leaveUnpaid := l.join("unpaid", bulkhead.Normal, 0)
		c.Rate, c.Burst = 1e-6, 5
		if err := k.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		leaveUnpaid()
		l.want("it gives nothing back", "unpaid:ended")
		free(0)
	})
}

// A call whose settings change between its coming and its waiting waits by the new ones alone.
func TestReconfigureAsItBeginsToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.Config{Limit: 1, Queue: 1, Interval: -1}
		b := bulkhead.MustNew(c)
		defer giveBack(takeRest(t, b, 0, 1))
		c.MaxWait = time.Second
		ctx := onDone{t.Context(), sync.OnceFunc(func() { reconfigure(t, b, c) })}
		if _, err := b.Acquire(ctx); what(err) != "max_wait" {
			t.Error(err)
		}
	})
}

// onDone is a context that calls a function when it is asked for its Done.
type onDone struct {
	context.Context
	f func()
}

func (c onDone) Done() <-chan struct{} {
	c.f()
	return nil
}

// A key's name may be the user's code, which may change the settings: the bulkhead that is just being made has those.
func TestReconfigureAsAKeyIsMade(t *testing.T) {
	c := bulkhead.KeyedConfig{Total: 10, Config: bulkhead.Config{Limit: 1}}
	k := bulkhead.MustNewKeyed[reconfigurer](c)
	c.Limit = 2
	key := reconfigurer{new(func())}
	*key.f = func() {
		if err := k.Reconfigure(c); err != nil {
			t.Error(err)
		}
	}
	wantLimit(t, k.Get(key), "the new key", 2)
}

type reconfigurer struct{ f *func() }

func (r reconfigurer) String() string {
	(*r.f)()
	return "key"
}

// overload makes n calls that find the dependency overloaded, a second apart.
func overload(t *testing.T, b *bulkhead.Bulkhead, n int) {
	t.Helper()
	for range n {
		_ = b.Run(t.Context(), func(context.Context) error {
			time.Sleep(time.Millisecond)
			return context.DeadlineExceeded
		})
		time.Sleep(time.Second)
	}
}

func wantLimit(t *testing.T, b *bulkhead.Bulkhead, when string, want int) {
	t.Helper()
	if got := b.Snapshot().Limit; got != want {
		t.Errorf("%s: the limit is %d, want %d", when, got, want)
	}
}

// The limit that was found is kept, within the new bounds; one that becomes adaptive begins at the limit it has.
func TestReconfigureAdaptive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		adaptive := func(least, most, initial int) bulkhead.Config {
			return bulkhead.Config{Adaptive: &bulkhead.Adaptive{Min: least, Max: most, Initial: initial}}
		}
		b := bulkhead.MustNew(adaptive(2, 100, 50))
		overload(t, b, 3)
		found := b.Snapshot().Limit
		if found >= 45 || found < 20 {
			t.Fatalf("found %d", found)
		}
		reconfigure(t, b, adaptive(1, 200, 77))
		wantLimit(t, b, "other bounds", found)
		reconfigure(t, b, adaptive(1, 10, 0))
		wantLimit(t, b, "a lower Max", 10)
		giveBack(takeAll(t, b, 10))
		reconfigure(t, b, adaptive(20, 30, 0))
		wantLimit(t, b, "a higher Min", 20)
		if err := b.Resize(25); err == nil {
			t.Error("an adaptive limit was set")
		}
		reconfigure(t, b, bulkhead.Config{Limit: 70})
		wantLimit(t, b, "fixed", 70)
		overload(t, b, 1)
		resize(t, b, 60)
		wantLimit(t, b, "set", 60)
		reconfigure(t, b, adaptive(1, 200, 5))
		wantLimit(t, b, "it begins to search at", 60)
		overload(t, b, 1)
		if got := b.Snapshot().Limit; got >= 60 || got < 50 {
			t.Errorf("after an overload the limit is %d", got)
		}
		reconfigure(t, b, bulkhead.Config{Limit: 90})
		reconfigure(t, b, adaptive(1, 30, 0))
		wantLimit(t, b, "it begins at Max", 30)
	})
}

// underWay is a call that fails when it is told to.
func underWay(t *testing.T, b *bulkhead.Bulkhead) (fail func()) {
	end := make(chan struct{})
	go func() {
		err := b.Run(context.Background(), func(context.Context) error { <-end; return errStorm })
		if err != errStorm {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return func() { close(end); synctest.Wait() }
}

// A call that began under Adaptive tells the search that it began with, and what it tells moves no limit that was set since.
func TestReconfigureAdaptiveCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked [2]atomic.Int32
		with := func(i int) bulkhead.Config {
			return bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 50, Overloaded: func(error) bool { asked[i].Add(1); return true }}}
		}
		b := bulkhead.MustNew(with(0))
		var old [3]func()
		for i := range old {
			old[i] = underWay(t, b)
		}
		reconfigure(t, b, with(1))
		fresh := takeRest(t, b, 3, 1)
		old[0]()
		fresh[0].Done(errStorm)
		if asked[0].Load() != 1 || asked[1].Load() != 1 {
			t.Errorf("asked: %d, %d", asked[0].Load(), asked[1].Load())
		}
		found := b.Snapshot().Limit
		if found >= 50 {
			t.Errorf("the limit is %d", found)
		}
		time.Sleep(time.Minute)
		reconfigure(t, b, bulkhead.Config{Limit: 7})
		old[1]()
		wantLimit(t, b, "fixed", 7)
		time.Sleep(time.Minute)
		reconfigure(t, b, with(1))
		time.Sleep(time.Minute)
		old[2]()
		wantLimit(t, b, "another search", 7)
		if s := b.Snapshot(); s.InUse != 0 || s.Failures != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestReconfigureBad(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 3, Queue: 4, Rate: 5, Burst: 6})
	was := asText(t, b.Config())
	bad := bulkhead.Config{
		Limit: -1, Queue: -1, MaxWait: -1, Interval: 1, Target: -1, Rate: -1, Burst: -1, NoSpans: true,
	}
	err := b.Reconfigure(bad)
	for _, field := range []string{"Limit", "Queue", "MaxWait", "Interval", "Target", "Rate", "Burst"} {
		if err == nil || !strings.Contains(err.Error(), "bulkhead.Config."+field+":") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if got := asText(t, b.Config()); got != was {
		t.Errorf("%s, want %s", got, was)
	}
	if n := tokens(t, b); n != 6 {
		t.Errorf("%d tokens", n)
	}
	k := bulkhead.MustNewKeyed[string](bulkhead.KeyedConfig{Total: 8})
	err = k.Reconfigure(bulkhead.KeyedConfig{Config: bulkhead.Config{Limit: 9, Queue: -1}, Total: 4, MaxKeys: -1})
	for _, field := range []string{"Limit", "Queue", "MaxKeys"} {
		if err == nil || !strings.Contains(err.Error(), "bulkhead.KeyedConfig."+field+":") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	wantLimit(t, k.Total(), "the total", 8)
	wantLimit(t, k.Get("a"), "a share", 2)
	for name, err := range map[string]error{
		"nil":       (*bulkhead.Bulkhead)(nil).Reconfigure(bulkhead.Config{Limit: 1}),
		"nil Keyed": (*bulkhead.Keyed[string])(nil).Reconfigure(bulkhead.KeyedConfig{Total: 1}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "bulkhead: a nil ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]*bulkhead.Bulkhead{"a key": k.Get("a"), "the total": k.Total()} {
		if err := b.Reconfigure(bulkhead.Config{Limit: 1}); err == nil || !strings.Contains(err.Error(), "Keyed.Reconfigure") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a Handler and a Transport ask before a call, and after it.
func TestReconfigureHTTP(t *testing.T) {
	c := bulkhead.Config{Limit: 1}
	b := bulkhead.MustNew(c)
	h := bulkhead.Handler(b, http.NotFoundHandler())
	onAsk := func() {}
	answer := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1}
	via := bulkhead.Transport(b, trip(func(*http.Request) (*http.Response, error) {
		again := *answer
		onAsk()
		again.Body = io.NopCloser(strings.NewReader("body"))
		return &again, nil
	}))
	ask := func() *http.Response {
		resp, err := via.RoundTrip(httptest.NewRequest(http.MethodGet, "http://a/", nil))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := ask()
	want := func(when string, inUse, status int) {
		t.Helper()
		if s := b.Snapshot(); s.InUse != inUse {
			t.Errorf("%s: %d in use, want %d", when, s.InUse, inUse)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != status {
			t.Errorf("%s: status %d, want %d", when, w.Code, status)
		}
	}
	want("a body is open", 1, 503)
	c.ReleaseAtHeader, c.Exempt = true, func(*http.Request) bool { return true }
	reconfigure(t, b, c)
	want("all are exempt", 1, 404)
	resp.Body.Close()
	want("it is closed", 0, 404)
	c.Exempt = nil
	reconfigure(t, b, c)
	defer ask().Body.Close()
	want("released at the header", 0, 404)
	c.ReleaseAtHeader = false
	onAsk = func() { reconfigure(t, b, c) }
	defer ask().Body.Close()
	want("it began so", 0, 404)
	onAsk = func() {}
	defer ask().Body.Close()
	want("until it is closed", 1, 503)
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// All keys change, those that are there, those that were evicted while a call runs, and those to come; and the total.
func TestReconfigureKeyed(t *testing.T) {
	c := bulkhead.KeyedConfig{Total: 100, MaxKeys: 1, Config: bulkhead.Config{Limit: 2}}
	k := bulkhead.MustNewKeyed[string](c)
	evicted := k.Get("evicted")
	hold := takeRest(t, evicted, 0, 1)
	there := k.Get("there")
	resize(t, there, 50)
	c.Total, c.Limit, c.Queue, c.MaxKeys = 40, 3, 9, 7
	if err := k.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*bulkhead.Bulkhead{"evicted": evicted, "there": there, "to come": k.Get("to come"), "evicted, again": k.Get("evicted")} {
		if got := b.Config(); got.Limit != 3 || got.Queue != 9 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if k.Get("evicted") != evicted || evicted.Snapshot().InUse != 1 || k.Len() != 1 {
		t.Errorf("%+v, %d keys", evicted.Snapshot(), k.Len())
	}
	wantLimit(t, k.Total(), "the total", 40)
	giveBack(hold)
	if s := k.Total().Snapshot(); s.InUse != 0 || s.QueueLimit != 9 || s.Successes != 1 {
		t.Errorf("the total: %+v", s)
	}
}

// Keys that are made while the settings change have the new ones, or are changed like those that were there.
func TestReconfigureKeyedBesideNewKeys(t *testing.T) {
	for round := range fewerRounds(300, 100) {
		k := bulkhead.MustNewKeyed[int](bulkhead.KeyedConfig{Total: 100, Config: bulkhead.Config{Limit: 1}})
		var all [8]*bulkhead.Bulkhead
		atOnce(len(all)+1, func(g int) {
			if g == len(all) {
				if err := k.Reconfigure(bulkhead.KeyedConfig{Total: 50, Config: bulkhead.Config{Limit: 2}}); err != nil {
					t.Error(err)
				}
				return
			}
			all[g] = k.Get(g)
		})
		for g, b := range all {
			if got := b.Snapshot().Limit; got != 2 {
				t.Fatalf("round %d: the limit of %d is %d", round, g, got)
			}
		}
	}
}

func fewerRounds(full, reduced int) int {
	if raceEnabled {
		return reduced
	}
	return full
}

// settings are such as a storm may meet, of all kinds, with no limit above 60.
func randomSettings(r *rand.Rand) bulkhead.Config {
	c := bulkhead.Config{
		Limit: 1 + r.IntN(60), Queue: r.IntN(3) * 20, MaxWait: time.Duration(r.IntN(3)) * 10 * time.Millisecond,
		Interval: time.Duration(r.IntN(3)-1) * time.Millisecond, Target: time.Duration(r.IntN(2)) * time.Millisecond,
		NoSpans: r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		c.Adaptive = &bulkhead.Adaptive{Min: 1 + r.IntN(3), Max: 20 + r.IntN(41), Window: time.Millisecond}
		c.Adaptive.Overloaded = func(error) bool { return true }
		c.Limit = 0
	}
	if r.IntN(2) == 0 {
		c.Rate = rate.Limit(2000 + r.IntN(20000))
	}
	return c
}

// TestReconfigureStorm: 64 goroutines call, in all doors, while two others change the settings over and over. All calls are
// in the books, and every place is there in the end.
func TestReconfigureStorm(t *testing.T) {
	each := fewerRounds(200, 60)
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			s := &tempest{
				b: bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 20}), most: 60,
				work: func(r *rand.Rand, n int) { time.Sleep(time.Duration(r.IntN(n*1000)) * time.Microsecond) },
			}
			var all, changing sync.WaitGroup
			var calm atomic.Bool
			for g := range uint64(64) {
				r := rand.New(rand.NewPCG(seed, g))
				all.Go(func() {
					for range each {
						s.call(r)
					}
				})
			}
			for g := range uint64(2) {
				r := rand.New(rand.NewPCG(seed, 1e6+g))
				changing.Go(func() {
					for !calm.Load() {
						if err := s.b.Reconfigure(randomSettings(r)); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
					}
				})
			}
			all.Wait()
			calm.Store(true)
			changing.Wait()
			reconfigure(t, s.b, bulkhead.Config{Limit: 5})
			s.settle(t, 50, false)
		})
	}
}

// TestReconfigureStormOnRealThreads is the same on the scheduler as it is, but that there is a change between any two calls of a
// goroutine: else those who change may have no turn, and all calls be made by one setting, of no queue for one.
func TestReconfigureStormOnRealThreads(t *testing.T) {
	each := fewerRounds(400, 100)
	s := &tempest{b: bulkhead.MustNew(bulkhead.Config{Limit: 10, Queue: 20}), most: 60, work: func(r *rand.Rand, n int) {
		for range r.IntN(n) {
			runtime.Gosched()
		}
	}}
	var calm atomic.Bool
	var changes atomic.Int64
	var changing sync.WaitGroup
	for g := range uint64(2) {
		r := rand.New(rand.NewPCG(7, g))
		changing.Go(func() {
			for !calm.Load() {
				if err := s.b.Reconfigure(randomSettings(r)); err != nil {
					t.Error(err)
				}
				_ = s.b.Config()
				_ = s.b.Snapshot()
				changes.Add(1)
				runtime.Gosched()
			}
		})
	}
	atOnce(64, func(g int) {
		r := rand.New(rand.NewPCG(5, uint64(g)))
		for range each {
			before := changes.Load()
			await(func() bool { return changes.Load() > before })
			s.call(r)
		}
	})
	calm.Store(true)
	changing.Wait()
	reconfigure(t, s.b, bulkhead.Config{Limit: 5})
	s.settle(t, 50, false)
}

// Keys, calls and changes beside each other, under one total.
func TestReconfigureKeyedStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, calls = 64, 60
		k := bulkhead.MustNewKeyed[int](bulkhead.KeyedConfig{Total: 40, MaxKeys: 5, Config: bulkhead.Config{Queue: 10}})
		var all, changing sync.WaitGroup
		var calm atomic.Bool
		for g := range uint64(callers) {
			r := rand.New(rand.NewPCG(9, g))
			all.Go(func() {
				for range calls {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+r.IntN(20))*time.Millisecond)
					_ = k.Get(r.IntN(10)).Run(ctx, func(context.Context) error {
						time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
						return []error{nil, nil, errStorm, context.Canceled}[r.IntN(4)]
					})
					cancel()
				}
			})
		}
		for g := range uint64(2) {
			r := rand.New(rand.NewPCG(9, 1e6+g))
			changing.Go(func() {
				for !calm.Load() {
					c := bulkhead.KeyedConfig{Total: 60 + r.IntN(10), Config: randomSettings(r)}
					if err := k.Reconfigure(c); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
				}
			})
		}
		all.Wait()
		calm.Store(true)
		changing.Wait()
		for key, b := range k.All() {
			if s := b.Snapshot(); s.InUse != 0 || s.Queued != 0 {
				t.Errorf("%d: %+v", key, s)
			}
		}
		s := k.Total().Snapshot()
		if s.InUse != 0 || s.Queued != 0 || s.Successes+s.Failures+s.Ignored+s.Refused != callers*calls {
			t.Errorf("the total: %+v", s)
		}
		if err := k.Reconfigure(bulkhead.KeyedConfig{Total: 30, Config: bulkhead.Config{Limit: 30}}); err != nil {
			t.Fatal(err)
		}
		held := takeRest(t, k.Get(1), 0, 30)
		if _, err := k.Get(2).TryAcquire(); !errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("one more than the total: %v", err)
		}
		giveBack(held)
	})
}

// A call goes by its key's settings to its end, though it has a place of the total's too.
func TestReconfigureKeyedAdaptive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkhead.KeyedConfig{Total: 100, Config: bulkhead.Config{Limit: 50}}
		k := bulkhead.MustNewKeyed[string](c)
		a := k.Get("a")
		c.Limit, c.Adaptive = 0, &bulkhead.Adaptive{Max: 90}
		if err := k.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		overload(t, a, 1)
		if got := a.Snapshot().Limit; got >= 50 || got < 40 {
			t.Errorf("after an overload the limit is %d, from 50", got)
		}
	})
}

// A shorter Window is heeded at once: the one under way does not go on for as long as it was to, and nor do signals of overload
// wait for its end.
func TestReconfigureAdaptiveWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(window time.Duration, most int) bulkhead.Config {
			return bulkhead.Config{Adaptive: &bulkhead.Adaptive{Initial: 50, Max: most, Window: window}}
		}
		for _, most := range []int{200, 40} { // the limit is within the bounds, and is not
			b := bulkhead.MustNew(with(time.Hour, 100))
			overload(t, b, 2)
			wantLimit(t, b, "in the first window", 45)
			c := with(time.Second, most)
			c.Adaptive.Initial = 0
			reconfigure(t, b, c)
			time.Sleep(2 * time.Second)
			was := b.Snapshot().Limit
			overload(t, b, 1)
			if got := b.Snapshot().Limit; got >= was {
				t.Errorf("in a shorter window, of at most %d: the limit is %d, as it was", most, got)
			}
		}
	})
}
