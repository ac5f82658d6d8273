package httpx

import (
	"net/url"
	"strings"
)

// HostKey is the name under which a URL's host is known: host:port in lower case,
// without the port if it is the scheme's default or empty, IPv6 in brackets as in
// the URL. Two URLs that reach the same server under the same name have the same
// key, whatever way they are written. A nil URL has the empty key.
//
// It allocates nothing if the host is written that way already. Keys come from
// URLs, and those may come from strangers: whoever keeps something for each key
// must bound their number.
func HostKey(u *url.URL) string {
	if u == nil {
		return ""
	}
	host := u.Host
	if name, port, ok := cutPort(host); ok && isDefault(port, u.Scheme) {
		host = name
	}
	return strings.ToLower(host)
}

// cutPort splits at the colon before the port. Unlike net.SplitHostPort it keeps
// the brackets, never fails, and takes no part of a bare IPv6 address for a port.
func cutPort(hostport string) (host, port string, ok bool) {
	i := strings.LastIndexByte(hostport, ':')
	if i < 0 {
		return hostport, "", false
	}
	host, port = hostport[:i], hostport[i+1:]
	if strings.HasPrefix(host, "[") {
		return host, port, strings.HasSuffix(host, "]") // else the colon is inside the brackets
	}
	return host, port, !strings.Contains(host, ":")
}

func isDefault(port, scheme string) bool {
	switch port {
	case "":
		return true
	case "80":
		return strings.EqualFold(scheme, "http")
	case "443":
		return strings.EqualFold(scheme, "https")
	}
	return false
}
