package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// addressInterval is how often a listener checks its address; nameInterval is that for a name,
	// which needs a query to a name server.
	addressInterval = time.Second
	nameInterval    = 5 * time.Second
	// absenceLogInterval is how often the log repeats that the address is absent.
	absenceLogInterval = 10 * time.Minute
)

// A listener listens on an address of a config. While the machine does not have the address, because
// of DHCP or a missing interface, it waits; when the address returns, it listens again. So the agent
// serves as soon as it can be reached.
type listener struct {
	endpoint endpoint
	log      *slog.Logger
	changed  func() // called after each change of absence
	stop     context.CancelFunc

	mu       sync.Mutex
	socket   socket // nil while it waits
	absence  string // why the address cannot be reached; empty when it can
	logged   time.Time
	deadline time.Time
	err      error         // returned by Accept: it has failed or is closed
	change   chan struct{} // closed and replaced at each change
}

// newListener listens or starts to wait for the address. An error means that waiting is pointless.
func newListener(ctx context.Context, on endpoint, log *slog.Logger, changed func()) (*listener, error) {
	watching, stop := context.WithCancel(context.Background())
	l := &listener{endpoint: on, log: log, changed: changed, stop: stop, change: make(chan struct{})}
	s, err := on.open(ctx)
	var absent absentError
	switch {
	case errors.As(err, &absent):
		l.absence = absent.Error()
		l.logAbsence()
	case err != nil:
		stop()
		return nil, err
	}
	l.socket = s
	if s == nil || s.mayVanish() {
		go every(watching, on.interval(), func() { l.check(watching) })
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

func (l *listener) replaced(s socket) bool {
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
	l.wake()
	if l.socket == nil {
		return nil
	}
	return l.socket.SetDeadline(t)
}

// wake wakes Accept. The caller holds mu.
func (l *listener) wake() {
	close(l.change)
	l.change = make(chan struct{})
}

// Close stops waiting and listening. It does not wait for watch, which may need a lock that the
// caller holds.
func (l *listener) Close() error { return l.end(net.ErrClosed) }

// end is Close; Accept returns the error.
func (l *listener) end(err error) error {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = cmp.Or(l.err, err)
	l.wake()
	if l.socket == nil {
		return nil
	}
	return l.socket.Close()
}

// Addr returns the address that it listens on or waits for.
func (l *listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		return l.socket.boundAddr()
	}
	return textAddr{l.endpoint.String()}
}

// A textAddr is an address as people write it: one that this machine does not have, or the path of a
// unix socket.
type textAddr struct{ text string }

func (textAddr) Network() string  { return "" }
func (a textAddr) String() string { return a.text }

// absent returns why the address cannot be reached; empty when it can.
func (l *listener) absent() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.absence
}

// check finds out whether the machine has the address. A socket whose address is gone accepts
// connections again when the address returns. So it is kept until another replaces it: that of a
// recreated interface, or of a name that has a new address.
func (l *listener) check(ctx context.Context) {
	l.mu.Lock()
	s := l.socket
	l.mu.Unlock()
	if s != nil && s.exists() {
		l.setState(s, "")
		return
	}
	next, err := l.endpoint.open(ctx)
	var absent absentError
	switch {
	case err == nil:
		l.setState(next, "")
	case ctx.Err() != nil: // which may have cut off the query
	case errors.As(err, &absent):
		l.setState(s, absent.Error())
	case s == nil:
		_ = l.end(err)
	case !s.exists():
		l.setState(s, err.Error())
	default:
		// The port is taken by s itself, whose address has returned in between.
	}
}

// setState sets the socket and why its address cannot be reached, and logs a change.
func (l *listener) setState(s socket, absence string) {
	l.mu.Lock()
	moved, was, before := s != l.socket, l.absence, l.socket
	if l.err != nil {
		l.mu.Unlock()
		if moved {
			_ = s.Close() // the listener is closed
		}
		return
	}
	l.socket, l.absence = s, absence
	if moved {
		_ = s.SetDeadline(l.deadline) // of a listening socket, which has deadlines
		l.wake()
	}
	l.mu.Unlock()
	if moved && before != nil {
		_ = before.Close() // its address is gone
	}
	switch {
	case absence != "":
		l.logAbsence()
	case was != "" || moved:
		l.logged = time.Time{}
		l.log.Info("the address is there; connections are accepted", slog.String("address", l.Addr().String()))
	}
	if moved || (absence == "") != (was == "") {
		l.changed()
	}
}

// logAbsence logs that the address is absent, at most once in absenceLogInterval.
func (l *listener) logAbsence() {
	if !l.logged.IsZero() && time.Since(l.logged) < absenceLogInterval {
		return
	}
	l.logged = time.Now()
	l.log.Warn("the address is not there; the agent waits for it, and listens as soon as it is",
		slog.String("address", l.Addr().String()), slog.String("detail", l.absent()))
}
