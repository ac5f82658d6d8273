package failover

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Resolver looks names up: a *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// DNS is a Config.Resolve that makes each address of a URL's host a target: the URL with the address for the host. A target
// is named for address and port, and its order does not follow that of the answers, so that Ordered keeps to one. A nil
// Resolver is net.DefaultResolver.
//
//	failover.Config[*url.URL]{Resolve: failover.DNS(nil, base), Balance: failover.PeakEWMA}
//
// TLS needs the name, which is gone from the URL: with https, give the http.Transport below a tls.Config with that ServerName,
// and set Config.KeepHost so that requests still name the host. Or use [SRV], which keeps names.
func DNS(r Resolver, base *url.URL) func(context.Context) ([]Target[*url.URL], error) {
	r = orDefault(r)
	if base != nil {
		base = clone(base)
	}
	return func(ctx context.Context) ([]Target[*url.URL], error) {
		if base == nil || base.Hostname() == "" {
			return nil, errors.New("failover.DNS: the URL has no host")
		}
		found, err := r.LookupNetIP(ctx, "ip", base.Hostname())
		if err != nil {
			return nil, err
		}
		for i, a := range found {
			found[i] = a.Unmap()
		}
		slices.SortFunc(found, netip.Addr.Compare)
		var ts []Target[*url.URL]
		for _, a := range slices.Compact(found) {
			to := clone(base)
			to.Host = hostOf(a, base.Port())
			ts = append(ts, Target[*url.URL]{Name: to.Host, Value: to})
		}
		return ts, nil
	}
}

// SRV is a Config.Resolve that makes each SRV record of a service a target: scheme://host:port, named host:port. The records'
// priorities become levels 0, 1, 2 and so on, and their weights the targets'; a weight of 0 beside others gets next to nothing
// (RFC 2782). As service, proto and name: those of [net.Resolver.LookupSRV]. A nil Resolver is net.DefaultResolver.
//
//	failover.Config[*url.URL]{Resolve: failover.SRV(nil, "users", "tcp", "example.com", "https"), Balance: failover.RoundRobin}
func SRV(r Resolver, service, proto, name, scheme string) func(context.Context) ([]Target[*url.URL], error) {
	r = orDefault(r)
	return func(ctx context.Context) ([]Target[*url.URL], error) {
		_, found, err := r.LookupSRV(ctx, service, proto, name)
		if err != nil && len(found) == 0 { // with an error it may have those records whose names are valid
			return nil, err
		}
		records := slices.Clone(found)
		slices.SortFunc(records, func(a, b *net.SRV) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight),
				cmp.Compare(a.Target, b.Target), cmp.Compare(a.Port, b.Port))
		})
		return targetsOfSRV(records, scheme), nil
	}
}

// targetsOfSRV makes targets of records, which are sorted.
func targetsOfSRV(records []*net.SRV, scheme string) (ts []Target[*url.URL]) {
	known := make(map[string]bool, len(records))
	level, heaviest := -1, uint16(0)
	var priority uint16
	for _, r := range records {
		host := strings.TrimSuffix(r.Target, ".")
		at := net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		if host == "" || known[at] { // "." says that there is no such service
			continue
		}
		known[at] = true
		if level < 0 || r.Priority != priority {
			level, priority, heaviest = level+1, r.Priority, r.Weight
		}
		ts = append(ts, Target[*url.URL]{
			Name: at, Value: &url.URL{Scheme: scheme, Host: at}, Priority: level, Weight: weightOf(r.Weight, heaviest),
		})
	}
	return ts
}

// nextToNothing is the weight of what has none beside those that have.
const nextToNothing = 0.01

func weightOf(weight, heaviest uint16) float64 {
	switch {
	case heaviest == 0: // they are all the same
		return 1
	case weight == 0:
		return nextToNothing
	}
	return float64(weight)
}

func orDefault(r Resolver) Resolver {
	if r == nil {
		return net.DefaultResolver
	}
	return r
}

func clone(u *url.URL) *url.URL {
	c := *u
	return &c
}

// hostOf is an address as a URL has it.
func hostOf(a netip.Addr, port string) string {
	switch {
	case port != "":
		return net.JoinHostPort(a.String(), port)
	case a.Is6():
		return "[" + a.String() + "]"
	}
	return a.String()
}
