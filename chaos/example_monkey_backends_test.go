package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/chaos"
)

// How do I take out one backend at a time, as its clients would lose it: with its connections?
func ExampleMonkey_backends() {
	networks, urls := map[string]*chaos.Injector{}, map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		networks[name] = chaos.MustNew(chaos.Config{Name: name, Faults: []chaos.Fault{{Kind: chaos.Reset, Rate: 1}}})
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		server.Listener = chaos.Listener(networks[name], server.Listener)
		server.Start()
		defer server.Close()
		urls[name] = server.URL
	}

	taken := make(chan string) // for the example
	monkey := chaos.MustNewMonkey(chaos.MonkeyConfig{
		Seed:    1,
		Members: func() []string { return []string{"a", "b", "c"} },
		TakeOut: func(name string) (restore func()) {
			networks[name].Enable() // where there is an orchestrator: stop the container here, and start it in restore
			taken <- name
			return networks[name].Disable
		},
		Every: time.Millisecond, OutFor: time.Hour, // in earnest: hours, and minutes
		Window: chaos.Window{}, // in earnest: chaos.Window{From: 9 * time.Hour, Until: 15 * time.Hour, Weekdays: true}
		Keep:   2,              // that serve all the while
	})
	monkey.Start()
	gone := <-taken

	var there []string
	for name, url := range urls {
		if resp, err := http.Post(url, "", nil); err == nil { // a POST is not sent again by net/http
			resp.Body.Close()
			there = append(there, name)
		}
	}
	fmt.Println("serving:", len(there), "and not the one that is out:", !slices.Contains(there, gone))

	monkey.Close() // puts it back
	resp, err := http.Post(urls[gone], "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println("again:", resp.StatusCode)
	// Output:
	// serving: 2 and not the one that is out: true
	// again: 200
}
