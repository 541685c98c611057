package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

const (
	// addressInterval is how often a listener looks whether its address is there; nameInterval is that
	// for a name, about which a server is asked.
	addressInterval = time.Second
	nameInterval    = 5 * time.Second
	// absentAgain is how often the log says that it is not.
	absentAgain = 10 * time.Minute
)

// A listener listens on the host and the port of a config. Where the machine does not have the
// address yet, as that comes by DHCP or with an interface, it waits for it; where an address goes and
// comes back, it goes on. So the agent serves as soon as it can be reached, however it was started.
type listener struct {
	config  *config.Loaded
	log     *slog.Logger
	changed func() // is called after each change of absence
	stop    context.CancelFunc

	mu       sync.Mutex
	socket   *socket // nil while it waits
	absence  string  // why the address cannot be reached; empty when it can
	told     time.Time
	deadline time.Time
	err      error         // it is of no use any more
	change   chan struct{} // closed and replaced at each change
}

// newListener opens the port, or begins to wait for the address. An error means that waiting is of
// no use.
func newListener(ctx context.Context, c *config.Loaded, log *slog.Logger, changed func()) (*listener, error) {
	watching, stop := context.WithCancel(context.Background())
	l := &listener{config: c, log: log, changed: changed, stop: stop, change: make(chan struct{})}
	s, err := open(ctx, c)
	var absent absentError
	switch {
	case errors.As(err, &absent):
		l.absence = absent.why
		l.tell()
	case err != nil:
		stop()
		return nil, err
	}
	l.socket = s
	if s == nil || !s.addr.IsUnspecified() {
		go l.watch(watching)
	}
	return l, nil
}

// Accept waits for the address and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		s, err, deadline, change := l.socket, l.err, l.deadline, l.change
		l.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case s == nil:
			if err := await(change, deadline); err != nil {
				return nil, err
			}
			continue
		}
		nc, err := s.Accept()
		if err == nil || !l.replaced(s) {
			return nc, err
		}
	}
}

func (l *listener) replaced(s *socket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket != s
}

// await waits for a change, until the deadline; the zero time is none.
func await(change <-chan struct{}, deadline time.Time) error {
	var over <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-change:
		return nil
	case <-over:
		return os.ErrDeadlineExceeded
	}
}

// SetDeadline bounds how long Accept waits, as that of a net.TCPListener.
func (l *listener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	l.announce()
	if l.socket == nil {
		return nil
	}
	return l.socket.SetDeadline(t)
}

// announce wakes Accept. The caller holds mu.
func (l *listener) announce() {
	close(l.change)
	l.change = make(chan struct{})
}

// Close ends the waiting and the listening. It does not wait for watch, which may be waiting for a
// lock of the caller's.
func (l *listener) Close() error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = net.ErrClosed
	}
	l.announce()
	if l.socket == nil {
		return nil
	}
	return l.socket.Close()
}

// Addr is the address that it listens on, or else the one that it waits for.
func (l *listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		return l.socket.where()
	}
	return awaited{net.JoinHostPort(l.config.Host, strconv.Itoa(l.config.Port))}
}

// An awaited is an address that this machine does not have.
type awaited struct{ text string }

func (awaited) Network() string  { return "tcp" }
func (a awaited) String() string { return a.text }

// absent says why the address cannot be reached; empty when it can.
func (l *listener) absent() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.absence
}

// watch looks at the address until the context ends.
func (l *listener) watch(ctx context.Context) {
	interval := addressInterval
	if _, err := netip.ParseAddr(l.config.Host); err != nil && !isLocalhost(l.config.Host) {
		interval = nameInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look finds out whether the address is there. A socket whose address has gone takes connections again
// when that is back, so it is kept until there is another: of an interface that has come again, or
// of a name that stands for another address now.
func (l *listener) look(ctx context.Context) {
	l.mu.Lock()
	s := l.socket
	l.mu.Unlock()
	if s != nil && s.isHere() {
		l.set(s, "")
		return
	}
	next, err := open(ctx, l.config)
	var absent absentError
	switch {
	case err == nil:
		l.set(next, "")
	case ctx.Err() != nil: // which may be why there is no answer
	case errors.As(err, &absent):
		l.set(s, absent.why)
	case s == nil:
		l.fail(err)
	default:
		// The port is taken: by s itself, whose address has come back in between.
	}
}

// set notes where it listens and why that cannot be reached, and says what is new.
func (l *listener) set(s *socket, absence string) {
	l.mu.Lock()
	moved, was, before := s != l.socket, l.absence, l.socket
	if l.err != nil {
		l.mu.Unlock()
		if moved {
			_ = s.Close() // too late for it
		}
		return
	}
	l.socket, l.absence = s, absence
	if moved {
		_ = s.SetDeadline(l.deadline) // of a listening socket, which has deadlines
		l.announce()
	}
	l.mu.Unlock()
	if moved && before != nil {
		_ = before.Close() // its address is not there
	}
	switch {
	case absence != "":
		l.tell()
	case was != "" || moved:
		l.told = time.Time{}
		l.log.Info("the address is there; connections are accepted", slog.String("address", l.Addr().String()))
	}
	if moved || (absence == "") != (was == "") {
		l.changed()
	}
}

// tell says in the log, now and then, that the address is not there.
func (l *listener) tell() {
	if !l.told.IsZero() && time.Since(l.told) < absentAgain {
		return
	}
	l.told = time.Now()
	l.log.Warn("the address is not there; the agent waits for it, and listens as soon as it is",
		slog.String("address", l.Addr().String()), slog.String("detail", l.absent()))
}

// fail ends Accept with the error.
func (l *listener) fail(err error) {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	l.announce()
}
