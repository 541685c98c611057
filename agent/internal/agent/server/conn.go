package server

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A conn is one connection. Either its worker, a goroutine, reads, judges and replies, or it is
// parked and an event loop does; see parked.go. Other goroutines only close it, and write replies
// that a fault has delayed.
type conn struct {
	server  *Server
	steps   context.Context // of the steps that are judged
	probing bool            // a health probe, see probeListener
	overTLS bool            // counted in Server.tlsConns
	addr    netip.AddrPort
	peer    *peer // nil for a TCP connection without TLS; Server.mu guards the pointer for all but the worker
	worker  worker

	// The worker or the loop uses these, whichever serves the connection.
	sessions session.Conn
	interval time.Duration // declared by the client last

	// mu guards state and is never held while something blocks. writing serializes writes,
	// which may block; mu may be locked with it held, and not the other way round.
	mu    sync.Mutex
	state connState

	writing sync.Mutex
	writes  deadline
	out     []byte // of the last reply; its memory is reused
}

// connState is the mutable state of a connection. conn.mu guards it; the worker, which alone
// replaces stream, may read that without.
type connState struct {
	stream    stream // nil while parked
	phase     phase
	idleSince time.Time
	reads     deadline
	closed    bool
	delayed   map[*time.Timer]*auditEntry // replies that a fault delays, until they are sent
	parkedState
}

// A stream is what the worker reads and writes; a net.Conn is one.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// A phase is what a connection is doing.
type phase uint8

const (
	busy    phase = iota // the worker judges or replies
	idle                 // the worker waits for the first byte of a message
	reading              // the worker waits for the rest of a message
	parked               // a loop waits for a message
	looping              // a loop answers a message
	judging              // a step is judged for a parked connection
)

// inLoop reports whether a loop waits for the socket.
func (p phase) inLoop() bool { return p == parked || p == looping || p == judging }

// drainTime is how long the rest of a message may take to arrive once the agent is stopping,
// and the client to close when it has its last reply.
const drainTime = 200 * time.Millisecond

func newConn(s *Server, nc stream, addr netip.AddrPort) *conn {
	c := &conn{server: s, steps: s.steps, addr: addr, state: connState{stream: nc, parkedState: parkedState{fd: -1}}}
	if p, ok := nc.(probeConn); ok {
		c.steps, c.probing = p.judging, true
	}
	if name := unixPeer(nc); name != "" {
		c.peer = &peer{name: name}
	}
	return c
}

// serve handles messages until the connection ends or is parked.
func (c *conn) serve(mode Mode) {
	c.connect()
	c.worker = worker{conn: c, neverPark: c.probing || c.server.loops == nil}
	if mode == Plain {
		c.worker.loop(nil)
	} else {
		c.worker.loop(func() bool { return c.worker.begin(mode) })
	}
}

// connect tells the sessions who the client is.
func (c *conn) connect() {
	sessions := c.server.sessions
	if c.probing {
		sessions = c.server.probes
	}
	client := session.Peer{Addr: c.addr, Name: c.peer.text(), Identity: c.identity(), Gone: c.peerGone}
	if client.Identity != "" {
		client.MaySession, client.MaxSessions = c.peer.mayUse, c.peer.maxSessions()
	}
	c.sessions.Connect(sessions, client)
}

// isEnding reports whether the connection is to end after the step under way.
func (c *conn) isEnding() bool {
	return c.server.draining.Load() || c.peer != nil && c.peer.revoked.Load()
}

// setPhase sets the worker's phase, and how long it may read in it: limit, or at most draining
// once the connection is ending. False means that it is ending and draining is 0.
func (c *conn) setPhase(p phase, limit, draining time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEnding() {
		if draining == 0 {
			return false
		}
		limit = min(limit, draining)
	}
	s, now := &c.state, time.Now()
	s.phase = p
	check := now.Add(limit)
	if p == idle && !c.worker.neverPark {
		s.idleSince, check = now, now.Add(parkAfter)
	}
	s.reads.extend(now.Add(limit), check, s.stream.SetReadDeadline)
	return true
}

// setBusy sets the phase busy, in which no shutdown changes the read deadline.
func (c *conn) setBusy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.phase = busy
}

// readTimedOut handles a timeout of a read: nil to read on, errIdle when the connection may be
// parked, or os.ErrDeadlineExceeded.
func (c *conn) readTimedOut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isEnding() {
		return os.ErrDeadlineExceeded
	}
	s, now := &c.state, time.Now()
	check, parkable := s.reads.at, false
	if s.phase == idle && !c.worker.neverPark {
		if parkAt := s.idleSince.Add(parkAfter); now.Before(parkAt) {
			check = parkAt
		} else {
			parkable = true
		}
	}
	err := s.reads.timedOut(now, check, s.stream.SetReadDeadline)
	if err == nil && parkable {
		return errIdle
	}
	return err
}

// drain makes an idle connection close, and one that has begun a message finish it soon. A busy one
// closes after its reply.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.phase {
	case idle:
		_ = c.state.stream.SetReadDeadline(time.Now())
	case reading:
		_ = c.state.stream.SetReadDeadline(time.Now().Add(drainTime))
	case parked:
		c.unpark(nil, nil)
	case busy, looping, judging:
	}
}

// close closes the connection and drops its delayed replies.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	if s.closed {
		return
	}
	if s.phase.inLoop() { // it may have parked since the caller had its stream
		shutDown(s.fd) // sending the reply fails, or the loop sees the end
		return
	}
	s.closed = true
	for timer, entry := range s.delayed {
		if timer.Stop() {
			entry.commit(false)
		}
	}
	s.delayed = nil
	_ = s.stream.Close() // an error changes nothing
}

// end closes the connection and removes it from the server.
func (c *conn) end() {
	c.sessions.Close()
	if t, ok := c.state.stream.(*tlsStream); ok {
		t.notify() // mu is not held: it may block
	}
	c.close()
	c.server.remove(c)
}

// peerGone reports whether the other end has closed and all that it sent has been read. With TLS the
// worker finds that out first as a rule: a closing client sends an alert, which is unread here.
func (c *conn) peerGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.closed {
		return true
	}
	if c.state.stream == nil {
		return socketGone(c.state.fd)
	}
	return streamGone(socketOf(c.state.stream))
}

// warn logs what the client has done, within a limit of such lines.
func (c *conn) warn(limit *logging.Limiter, message string, attrs ...slog.Attr) {
	limit.Log(c.server.steps, c.server.log, slog.LevelWarn, message, append(c.attrs(), attrs...)...)
}

func (c *conn) logPanic(p any, stack []byte) {
	c.server.log.LogAttrs(c.server.steps, slog.LevelError, "panic while serving a connection",
		append(c.attrs(), slog.Any("panic", p), slog.String("stack", string(stack)))...)
}

func (c *conn) debug(message string, err error) {
	c.server.log.LogAttrs(c.server.steps, slog.LevelDebug, message, append(c.attrs(), slog.Any("error", err))...)
}
