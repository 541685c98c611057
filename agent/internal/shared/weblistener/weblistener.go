// Package weblistener serves a handler over HTTP to browsers and other programs: of this machine, or
// of others over TLS.
//
// On loopback anything that reaches the listener may read; where Options.Private is set, a client
// needs the token or a certificate. A page of a foreign site in a browser may not read: the Host must
// be a name of this listener, against DNS rebinding, and there are no CORS headers. What changes
// something also needs a token and a header that a foreign page cannot send. Connections, the size of
// a header and each wait are bounded.
package weblistener

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Options are what a Server accepts.
type Options struct {
	// Hosts are further names under which the server may be reached. HostAdvice tells the client that
	// uses another name what to do.
	Hosts      []string
	HostAdvice string
	// Token is needed for requests that change something. ReadOnly, if not empty, says why they are all
	// refused.
	Token    string
	ReadOnly string
	// TLS is that of the connections; nil for plain HTTP.
	TLS *tls.Config
	// Private makes reading need the token too, as a bearer token or as the password of basic
	// authentication (RFC 7617), unless TLS has verified a certificate of the client.
	Private bool
	// Connections is how many are open at once; further ones wait.
	Connections int
	// HeaderBytes is the size of the longest header.
	HeaderBytes int
	// RequestTime is how long a request may take to arrive, and how long a connection may wait for its
	// next one; ReplyTime is how long a client may take to accept a reply.
	RequestTime, ReplyTime time.Duration
}

// A Server serves on a listener until it is closed.
type Server struct {
	http     *http.Server
	listener *net.TCPListener
	cancel   context.CancelFunc // of all requests
}

// Serve serves a handler on the listener, which is the Server's from then on. To log a failure is all
// that it can do about one.
func Serve(listener *net.TCPListener, handler http.Handler, o Options, log *slog.Logger) *Server {
	log = log.With(slog.String("http", listener.Addr().String()))
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{listener: listener, cancel: cancel, http: &http.Server{
		Handler:           newGuard(handler, o, log),
		ReadHeaderTimeout: o.RequestTime,
		IdleTimeout:       o.RequestTime,
		MaxHeaderBytes:    o.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // clients that break off
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}}
	go func() {
		limited := netutil.LimitListener(listener, o.Connections)
		if o.TLS != nil {
			limited = tls.NewListener(limited, o.TLS)
		}
		err := s.http.Serve(limited)
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP listener has failed; a reload with another address or a restart makes a new one", slog.Any("error", err))
		}
	}()
	return s
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Listener returns a second listener on the server's socket, for the server that replaces it: no
// connection is refused in between.
func (s *Server) Listener() (*net.TCPListener, error) {
	file, err := s.listener.File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

// Close stops listening, ends streams, and gives other requests the time to be answered.
func (s *Server) Close(within time.Duration) {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // forced; an error changes nothing
	}
}
