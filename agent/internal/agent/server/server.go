// Package server is the agent's end of the connections: it accepts them, enforces their limits,
// reads requests, has each judged in its session, and writes the replies.
//
// A connection is served one message at a time: what a client sends ahead stays in its socket. In
// the common case a message arrives whole and alone and its verdict is cached; then a few event
// loops serve all connections. In every other case a connection has a goroutine, its worker, until
// its client is idle. No client, however hostile, affects the connections of others.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// A Server serves connections. Its methods are safe for concurrent use.
type Server struct {
	sessions *session.Manager
	probes   *session.Manager
	loops    *eventloop.Loops
	log      *slog.Logger
	logLimits
	options  atomic.Pointer[Options]
	draining atomic.Bool
	stopping chan struct{} // closed when draining is set

	// steps is the context of every step that is being judged; stop ends it.
	steps context.Context
	stop  context.CancelFunc
	// judging has the goroutines of parked connections whose steps cannot be answered at once.
	judging *pool

	running    sync.WaitGroup // connections, those being refused too; not added to once draining
	refusing   chan struct{}  // a semaphore for the goroutines that refuse
	took       latency.Shards // steps, from the arrival to the written reply; by socket
	tls        *tls.Config    // outer, see outerConfig
	handshakes *handshakeSlots

	mu         sync.Mutex // guards the fields below
	listeners  map[*probeListener]struct{}
	conns      map[*conn]struct{} // of clients
	byAddr     map[netip.Addr]int
	byIdentity map[string]int
	tlsConns   int // those in a handshake too
	stats      Stats
}

// New returns a Server that has steps judged by sessions. Without loops, which may be nil, every
// connection has a goroutine. The caller closes loops after Shutdown.
func New(sessions *session.Manager, loops *eventloop.Loops, options Options, log *slog.Logger) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		sessions: sessions, loops: loops, probes: sessions.ForProbes(), log: log, logLimits: newLogLimits(),
		steps: ctx, stop: stop, judging: newPool(),
		listeners: map[*probeListener]struct{}{},
		conns:     map[*conn]struct{}{},
		byAddr:    map[netip.Addr]int{}, byIdentity: map[string]int{},
		stats:      newStats(),
		took:       latency.NewShards(loops.Count()),
		refusing:   make(chan struct{}, reservedFiles(openFileLimit())/refusalShare),
		handshakes: newHandshakeSlots(runtime.GOMAXPROCS(0)),
		stopping:   make(chan struct{}),
	}
	s.tls = outerConfig(&s.options)
	s.SetOptions(options)
	return s
}

// SetOptions replaces the options. Open connections stay open, see RecheckPeers. The limit of open
// files lowers those of connections.
func (s *Server) SetOptions(options Options) {
	s.capConnections(&options)
	options.prepareTLS()
	s.options.Store(&options)
}

// Stats returns the current counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	o := s.options.Load()
	stats.Open, stats.Limit = len(s.conns), o.Connections
	stats.TLS, stats.TLSLimit = s.tlsConns, o.TLSConnections
	stats.RefusedByReason, stats.Handshakes = maps.Clone(stats.RefusedByReason), maps.Clone(stats.Handshakes)
	return stats
}

// Took returns how long steps took from the arrival of the whole request until the reply was written,
// since the agent started. Steps whose reply is subject to a fault, and health probes, do not count.
func (s *Server) Took() latency.Snapshot { return s.took.Snapshot() }

// The pause after accept has failed, which doubles each time.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// Serve accepts connections until Shutdown, and returns nil then, or at once after it. Mode says
// whether they speak TLS. An error means that the listener has failed for good.
func (s *Server) Serve(listener net.Listener, mode Mode) error {
	l := &probeListener{Listener: listener, probes: make(chan probeConn, 1)}
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		_ = listener.Close() // mostly closed already
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	pause := firstAcceptPause
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = firstAcceptPause
			s.admit(nc, mode)
		case s.draining.Load():
			return nil
		case isTemporary(err):
			s.logLimits.accept.Log(s.steps, s.log, slog.LevelError, "cannot accept connections", slog.Any("error", err))
			time.Sleep(pause)
			pause = min(2*pause, lastAcceptPause)
		default:
			return fmt.Errorf("accept on %v: %w", listener.Addr(), err)
		}
	}
}

// isTemporary reports whether accept(2) may succeed later.
func isTemporary(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS,
		syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EINTR}, errno)
}

// Shutdown stops accepting, closes idle connections, lets steps that are being judged get their
// reply, and returns when all connections are closed. When the context ends first it closes them by
// force and returns the context's error, unless none is open. It may be called more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining.Swap(true) {
		close(s.stopping)
	}
	for l := range s.listeners {
		_ = l.Close() // fails only when closed already
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
		<-done // clients being refused are told why
		return nil
	}
	// Steps that are being judged end now; their clients are told why.
	select {
	case <-done:
		return context.Cause(ctx)
	case <-time.After(forceTime):
	}
	s.mu.Lock()
	for c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	<-done
	return context.Cause(ctx)
}

// forceTime is how long last replies may take before connections are closed by force. Clients that
// read do not need it; it allows for a busy machine.
const forceTime = time.Second
