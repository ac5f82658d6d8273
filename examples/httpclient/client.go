package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/breaker"
	"github.com/holdfast-go/holdfast/retry"
)

// newClient is the stack: a retry outside, so that it meets the refusals and does not repeat them; a breaker for each
// host inside, so that it sees every attempt.
//
// Where answers are slow now and then, rather than missing, a hedge.Transport goes between the two: it sends a GET again
// beside one that takes longer than most, and does not wait until that is given up.
func newClient() (*http.Client, error) {
	// The default budget: 20 retries at first, and then one for eight successes.
	budget, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		return nil, err
	}
	retries, err := retry.New(retry.Config{
		Name: "prices",
		// The server answers in about a millisecond. A quarter of a second is far above what it takes when it is well,
		// on a busy machine too, and three of them are still what a person waits for.
		AttemptTimeout: 250 * time.Millisecond,
		// In the order of the server's own time: what is over after one answer is over in a few milliseconds.
		BaseDelay: 5 * time.Millisecond,
		Budget:    budget,
	})
	if err != nil {
		return nil, err
	}
	hosts, err := breaker.NewKeyed[string](breaker.KeyedConfig{Config: breaker.Config{
		Name: "prices",
		// So short that this program ends soon. The default of 5 s suits servers that need as long to start.
		OpenFor: time.Second,
	}})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: retry.Transport(retries, breaker.Transport(hosts, http.DefaultTransport))}, nil
}

// prices asks a server for prices, and keeps the last one it had of each.
type prices struct {
	client *http.Client
	url    string

	mu    sync.Mutex
	known map[string]string
}

// price is what a caller gets: the server's word, or the last one it gave, and why.
type price struct {
	text       string
	stale      bool
	why        error         // it is stale
	retryAfter time.Duration // from when on asking makes sense again; 0: any time
}

func (p price) String() string {
	if p.stale {
		return fmt.Sprintf("%s, stale (%v)", p.text, p.why)
	}
	return p.text
}

func newPrices(url string) (*prices, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	return &prices{client: client, url: url, known: make(map[string]string)}, nil
}

// get returns the price of an article. An error means that there is none, not even an old one.
func (p *prices) get(ctx context.Context, article string) (price, error) {
	text, err := p.ask(ctx, article)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.known[article] = text
		return price{text: text}, nil
	}
	old, ok := p.known[article]
	if !ok {
		return price{}, err
	}
	stale := price{text: old, stale: true, why: err}
	// A refusal costs nothing and says when it ends: a server that passes it on sends that as its own Retry-After.
	if refusal, ok := errors.AsType[*breaker.OpenError](err); ok {
		stale.retryAfter = refusal.RetryAfter()
	}
	return stale, nil
}

// ask is what it would be with any http.Client: the policies show in nothing but the errors.
func (p *prices) ask(ctx context.Context, article string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/"+article, nil)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status) // the last attempt's answer: a response is never turned into an error
	}
	body, err := io.ReadAll(resp.Body) // under the attempt's time limit still
	return string(body), err
}
