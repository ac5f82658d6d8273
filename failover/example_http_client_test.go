package failover_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/holdfast-go/holdfast/failover"
)

// How do I give an http.Client several servers for one service?
func ExampleTransport() {
	serve := func(name string) (*httptest.Server, failover.Target[*url.URL]) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s, by %s", r.Method, r.URL.Path, name)
		}))
		at, _ := url.Parse(server.URL + "/api") // the base path goes before that of the request
		return server, failover.Target[*url.URL]{Name: name, Value: at}
	}
	first, one := serve("one")
	second, two := serve("two")
	defer second.Close()

	users := failover.MustNew(failover.Config[*url.URL]{Name: "users", Targets: []failover.Target[*url.URL]{one, two}})
	client := &http.Client{Transport: failover.Transport(users, http.DefaultTransport)}

	first.Close() // nobody listens there any more

	get, err := client.Get("http://users/v1/me") // the group says where that is
	if err != nil {
		fmt.Println(err)
		return
	}
	defer get.Body.Close()
	body, err := io.ReadAll(get.Body)
	fmt.Println(string(body), err)

	// A POST is sent once, unless it never reached a server: so it was here.
	post, err := client.Post("http://users/v1/things", "text/plain", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer post.Body.Close()
	body, err = io.ReadAll(post.Body)
	fmt.Println(string(body), err)
	// Output:
	// GET /api/v1/me, by two <nil>
	// POST /api/v1/things, by two <nil>
}
