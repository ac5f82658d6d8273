package chaos

import (
	"errors"
	"net"
)

// Listener returns l with faults on the connections that it accepts. A nil in is l itself.
//
//	server.Listener = chaos.Listener(faults, server.Listener)
//
// TLS goes around it, as a network lies under it: net/http does not know a tls.Conn in something else for one.
func Listener(in *Injector, l net.Listener) net.Listener {
	if in == nil {
		return l
	}
	return &listener{l, in}
}

type listener struct {
	net.Listener
	in *Injector
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Conn(l.in, c), nil
}

// resetConn closes a connection so that the other side finds it reset, if it is one of TCP: with what is not sent yet thrown away.
func resetConn(c net.Conn) {
	for inner := c; inner != nil; {
		if tcp, ok := inner.(interface{ SetLinger(sec int) error }); ok {
			_ = tcp.SetLinger(0) // it may be closed already
			_ = inner.Close()    // not through TLS, which would say goodbye
			break
		}
		under, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		inner = under.NetConn()
	}
	_ = c.Close()
}

var errCannotCloseWrite = errors.New("the connection has no CloseWrite")
