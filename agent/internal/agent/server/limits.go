package server

import (
	"crypto/tls"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

// Options are the limits of connections. They can be changed while connections are open.
type Options struct {
	// Allow lists the source addresses that are served. A connection without an address, such
	// as a pipe, is served too.
	Allow []netip.Prefix
	// Connections limits the open connections, ConnectionsPerAddress those from one address.
	Connections           int
	ConnectionsPerAddress int
	// MessageBytes is the length of the longest message, in bytes.
	MessageBytes int
	// MessageTime is how long a message may take to arrive, counted from its first byte, and a TLS
	// handshake to complete.
	MessageTime time.Duration
	// ReplyTime is how long a client may take to accept a reply.
	ReplyTime time.Duration
	// PipelinedMessages limits the outstanding replies of one connection.
	PipelinedMessages int
	// IdleTimeout closes a connection that has sent nothing for this long, not counting the
	// declared interval.
	IdleTimeout time.Duration
	// Codes are the error codes of reasons.
	Codes protocol.Codes
	// Agent is the agent's name and version, for clients that ask; empty for none.
	Agent string
	// Recorder records the outcome of each request; nil for none.
	Recorder session.Recorder
	// Certificates are those of TLS; without them no handshake succeeds.
	Certificates *certificate.Set
	// TLSConnections limits the open connections with TLS, those in a handshake too.
	TLSConnections int
	// Clients say which identities may connect with TLS; without any all may. The first rule that
	// matches an identity counts.
	Clients []ClientRule

	tls *tls.Config // of Certificates and Clients; nil without certificates
}

// allows reports whether connections from the address are served.
func (o *Options) allows(addr netip.Addr) bool {
	addr = addr.WithZone("") // no prefix has one
	return !addr.IsValid() || slices.ContainsFunc(o.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// logLimits limit the log lines that clients can cause, one limit for each kind.
type logLimits struct {
	accept, stranger, refused, bad, slow, idle, ahead, unread, handshake *logging.Limiter
}

func newLogLimits() logLimits {
	limiter := func() *logging.Limiter { return logging.NewLimiter(time.Second) }
	return logLimits{accept: limiter(), stranger: limiter(), refused: limiter(), bad: limiter(),
		slow: limiter(), idle: limiter(), ahead: limiter(), unread: limiter(), handshake: limiter()}
}

const (
	// maxReservedFiles is how many of the files that the process may open are reserved: for
	// plugins, the admin socket, the watchdog, a reload, and for telling clients why they are
	// refused. No more than half of the files are.
	maxReservedFiles = 256
	// refusalShare is the divisor of the reserved files that gives the number of clients
	// told at once why they are refused.
	refusalShare = 4
)

// openFileLimit returns how many files the process may open. The runtime has raised the soft limit,
// getrlimit(2), to the hard one.
func openFileLimit() uint64 {
	limit := unix.Rlimit{Cur: math.MaxInt32} // where it cannot be read
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Cur
}

// reservedFiles returns how many of the files are reserved.
func reservedFiles(limit uint64) int { return int(min(limit/2, maxReservedFiles)) }

// capConnections lowers the limits of connections to what the limit of open files allows, and logs
// it.
func (s *Server) capConnections(o *Options) {
	files := openFileLimit()
	if uint64(o.Connections) <= files-uint64(reservedFiles(files)) {
		return
	}
	room := int(files) - reservedFiles(files)
	s.log.Warn("the limit of open files allows fewer connections than limits.connections",
		slog.Int("limits.connections", o.Connections), slog.Uint64("open_files", files), slog.Int("connections", room),
		slog.String("advice", "raise LimitNOFILE= of the unit, or ulimit -n, or lower limits.connections"))
	o.Connections = room
	o.ConnectionsPerAddress = min(o.ConnectionsPerAddress, o.Connections)
}
