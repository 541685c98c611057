// Package server is the agent's end of the connections: it accepts them, holds them to
// their limits, reads requests, has each judged in its session, and writes the replies.
//
// A connection is served one message at a time: a client that sends ahead finds its further
// messages waiting in its own socket. Where all is as usual, a message comes at once and alone, and
// the reply goes at once: then a few event loops serve all connections. Whatever else happens
// to a connection is seen to by a goroutine of its own, until its client is quiet. What
// happens to one connection, however hostile its client, is of no concern to the others.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/protocol"
)

// Options are the limits of connections. They can be changed while connections are open.
type Options struct {
	// Allow is the source addresses that are served. A connection that has no address, such
	// as a pipe, is served too.
	Allow []netip.Prefix
	// Connections is how many connections may be open, ConnectionsPerAddress how many of
	// them from one address.
	Connections           int
	ConnectionsPerAddress int
	// MessageBytes is the length of the longest message, in bytes.
	MessageBytes int
	// MessageTime is how long a message may take to arrive once its first byte has.
	MessageTime time.Duration
	// ReplyTime is how long a client may take to accept a reply.
	ReplyTime time.Duration
	// PipelinedMessages is how many replies of one connection may be outstanding.
	PipelinedMessages int
	// IdleTimeout closes a connection that sends nothing for so long; the interval that the
	// client declared does not count.
	IdleTimeout time.Duration
	// Codes are the error codes of reasons.
	Codes protocol.Codes
	// Agent is the agent's name and version, for clients that ask; empty to say nothing.
	Agent string
	// Recorder takes note of what became of each request; nil for none.
	Recorder Recorder
}

// A Server serves connections. Its methods are safe for concurrent use.
type Server struct {
	sessions *session.Manager
	probes   *session.Manager
	loops    *eventloop.Loops
	log      *slog.Logger
	notes    notes
	options  atomic.Pointer[Options]
	draining atomic.Bool
	leaving  chan struct{} // closed when it is draining

	// steps is the context of every step that is being judged; stop ends it.
	steps context.Context
	stop  context.CancelFunc

	mu       sync.Mutex
	doors    map[*door]struct{}
	conns    map[*conn]struct{} // of clients
	byAddr   map[netip.Addr]int
	stats    Stats
	running  sync.WaitGroup // connections, and those who are turned away
	refusing chan struct{}
}

// Stats count connections and messages since the agent started.
type Stats struct {
	// Open is how many connections are open now, Limit how many may be.
	Open  int `json:"open"`
	Limit int `json:"limit"`
	// Accepted counts connections that were served, Refused those past a limit, and
	// NotAllowed those from addresses that are not served.
	Accepted   uint64 `json:"accepted"`
	Refused    uint64 `json:"refused"`
	NotAllowed uint64 `json:"not_allowed"`
	// RefusedMessages counts what clients that are served sent and no validator was asked about:
	// the reply had the reason bad_message, bad_request, busy, shutting_down or internal.
	RefusedMessages uint64 `json:"messages_refused"`
}

// New returns a Server that has steps judged by sessions. Without loops, which may be nil, every
// connection has a goroutine; they are closed after the server has been shut down.
func New(sessions *session.Manager, loops *eventloop.Loops, options Options, log *slog.Logger) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		sessions: sessions, loops: loops, probes: sessions.ForProbes(), log: log, notes: newNotes(), steps: ctx, stop: stop,
		doors:    map[*door]struct{}{},
		conns:    map[*conn]struct{}{},
		byAddr:   map[netip.Addr]int{},
		refusing: make(chan struct{}, spare(openFiles())/refusing),
		leaving:  make(chan struct{}),
	}
	s.SetOptions(options)
	return s
}

// SetOptions puts other limits in force. Connections that are open stay open. There are no more
// connections than the limit of open files leaves room for.
func (s *Server) SetOptions(options Options) {
	s.fit(&options)
	s.options.Store(&options)
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Open, stats.Limit = len(s.conns), s.options.Load().Connections
	return stats
}

// Accepting out of descriptors waits between two tries, and longer each time.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// Serve accepts connections until Shutdown, and then returns nil, at once when that has been
// called already; an error means that the listener is of no use any more.
func (s *Server) Serve(listener net.Listener) error {
	d := newDoor(listener)
	if !s.open(d) {
		_ = listener.Close() // closed already as a rule
		return nil
	}
	pause := firstAcceptPause
	for {
		nc, err := d.Accept()
		switch {
		case err == nil:
			pause = firstAcceptPause
			s.admit(nc)
		case s.draining.Load():
			return nil
		case isPassing(err):
			s.notes.accept.Log(s.steps, s.log, slog.LevelError, "cannot accept connections", slog.Any("error", err))
			time.Sleep(pause)
			pause = min(2*pause, lastAcceptPause)
		default:
			return fmt.Errorf("accept on %v: %w", listener.Addr(), err)
		}
	}
}

func (s *Server) open(d *door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.doors[d] = struct{}{}
	return true
}

// isPassing reports whether accept may work again later, accept(2).
func isPassing(err error) bool {
	for _, passing := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.EPROTO, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// admit serves the connection in a goroutine of its own, or refuses it: at once and without
// a word where its address is not served, with a reason past a limit.
func (s *Server) admit(nc net.Conn) {
	o := s.options.Load()
	addr := remote(nc)
	c := newConn(s, nc, addr)

	s.mu.Lock()
	full := ""
	switch {
	case s.draining.Load(): // nobody waits for new goroutines any more
		s.mu.Unlock()
		c.cut()
		return
	case c.probing:
		s.running.Add(1)
		go c.serve()
	case !o.allows(addr.Addr()):
		s.stats.NotAllowed++
		s.mu.Unlock()
		c.cut()
		c.note(s.notes.stranger, "connection not allowed",
			slog.String("detail", "the list allow in the config does not have this address"))
		return
	case len(s.conns) >= o.Connections:
		full = fmt.Sprintf("the agent has %d connections, which is its limit; try again later", o.Connections)
	case s.byAddr[addr.Addr()] >= o.ConnectionsPerAddress:
		full = fmt.Sprintf("the agent has %d connections from this address, which is its limit; close one", o.ConnectionsPerAddress)
	default:
		s.stats.Accepted++
		s.conns[c] = struct{}{}
		s.byAddr[addr.Addr()]++
		s.running.Add(1)
		go c.serve()
	}
	if full != "" {
		s.stats.Refused++
		s.refuse(c, full)
	}
	s.mu.Unlock()
	if full != "" {
		c.note(s.notes.refused, "connection refused", slog.String("detail", full))
	}
}

// allows reports whether connections from the address are served.
func (o *Options) allows(addr netip.Addr) bool {
	addr = addr.WithZone("") // no prefix has one
	return !addr.IsValid() || slices.ContainsFunc(o.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// refuse tells the client why, without keeping accept waiting, unless as many are being told as
// there may be; then the connection is only closed, so that a flood costs nothing. The caller holds
// mu: once a shutdown waits for the goroutines, none may begin.
func (s *Server) refuse(c *conn, detail string) {
	select {
	case s.refusing <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.refusing }()
			c.turnAway(protocol.Busy, detail)
		})
	default:
		c.cut()
	}
}

// dismiss forgets a connection that has closed.
func (s *Server) dismiss(c *conn) {
	defer s.running.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.probing {
		return
	}
	delete(s.conns, c)
	if s.byAddr[c.addr.Addr()]--; s.byAddr[c.addr.Addr()] == 0 {
		delete(s.byAddr, c.addr.Addr())
	}
}

// Shutdown stops accepting, closes idle connections, lets steps that are being judged get
// their answer, and returns when all connections are closed. When the context ends first it
// closes them by force and returns the context's error, unless none is open. It may be called
// more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining.Swap(true) {
		close(s.leaving)
	}
	for d := range s.doors {
		_ = d.Close() // closing twice is the only error there is
	}
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	defer s.stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.stop()
	if s.Stats().Open == 0 {
		<-done // those who were refused hear why
		return nil
	}
	// Steps that are being judged end now; their clients are to be told why.
	select {
	case <-done:
		return context.Cause(ctx)
	case <-time.After(lastWords):
	}
	s.mu.Lock()
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	<-done
	return context.Cause(ctx)
}

// lastWords is how long replies may take to be sent when connections are to be closed by
// force. Clients that read wait for none of it, so it may do for a machine that is busy.
const lastWords = time.Second

func remote(nc net.Conn) netip.AddrPort {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		addr := tcp.AddrPort()
		return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	return netip.AddrPort{} // a pipe
}
