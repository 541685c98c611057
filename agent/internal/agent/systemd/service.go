// Package systemd is the agent's side of its service manager: it says when the agent is
// ready, reloads and stops, feeds the watchdog, and takes sockets that systemd has opened.
// The protocols are those of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
package systemd

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// A Service is this process as a service of systemd. Its methods are safe for concurrent
// use. Outside systemd, and on a nil Service, they do nothing.
type Service struct {
	watchdog  time.Duration
	listeners []net.Listener
	log       *slog.Logger

	mu     sync.Mutex
	status string // as systemd knows it
}

// New reads what systemd has said to this process in the environment, and takes the sockets
// that it was given. It is to be called once, before any other process is started: the
// sockets are closed on exec(2) from then on. An error means that systemd expects what this
// process cannot do.
func New(log *slog.Logger) (*Service, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("the watchdog of systemd: %w; correct WatchdogSec in the unit", err)
	}
	s := &Service{watchdog: watchdog, log: log}
	for _, file := range activation.Files(true) {
		listener, err := net.FileListener(file)
		_ = file.Close() // the listener has a copy
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("the socket %s that systemd has passed takes no connections: %w; "+
				"correct the socket unit, with ListenStream and Accept=no", file.Name(), err)
		}
		s.listeners = append(s.listeners, listener)
	}
	return s, nil
}

// Expects returns how long systemd waits for a sign of life, see Alive, before it takes the
// process for hung; 0 when it does not wait for any.
func (s *Service) Expects() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog
}

// Inherited returns the listening sockets that systemd has opened for this process; none as a
// rule.
func (s *Service) Inherited() []net.Listener {
	if s == nil {
		return nil
	}
	return s.listeners
}

// Close closes the sockets that were given. Systemd keeps its own copies, where connections wait for the
// next process.
func (s *Service) Close() {
	if s == nil {
		return
	}
	for _, listener := range s.listeners {
		_ = listener.Close() // closed already as a rule
	}
}

// Ready says that the process serves, after a start or a reload.
func (s *Service) Ready(status string) { s.notify(status, daemon.SdNotifyReady) }

// Reloading says that a reload has begun; Ready ends it.
func (s *Service) Reloading() { s.notify("", daemon.SdNotifyReloading) }

// Stopping says that the process stops, and how long that may take at most, which counts
// even where the unit's TimeoutStopSec is shorter.
func (s *Service) Stopping(status string, within time.Duration) {
	s.notify(status, daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", within.Microseconds()))
}

// Status brings the status up to date.
func (s *Service) Status(status string) { s.notify(status) }

// Alive feeds the watchdog, and brings the status up to date.
func (s *Service) Alive(status string) { s.notify(status, daemon.SdNotifyWatchdog) }

// notify sends assignments, with the status where it has changed.
func (s *Service) notify(status string, assignments ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if status = oneLine(status); status != "" && status != s.status {
		s.status = status
		assignments = append(assignments, "STATUS="+status)
	}
	if len(assignments) == 0 {
		return
	}
	if _, err := daemon.SdNotify(false, strings.Join(assignments, "\n")); err != nil {
		s.log.Error("systemd cannot be told", slog.String("message", assignments[0]), slog.Any("error", err))
	}
}

// maxStatusBytes keeps a message below the 4096 bytes that systemd reads (NOTIFY_BUFFER_MAX).
const maxStatusBytes = 1024

// oneLine makes one line of a status. A line of its own would be an assignment of its own,
// and the text may come from a validator.
func oneLine(status string) string {
	status = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, status)
	if len(status) > maxStatusBytes {
		status = strings.ToValidUTF8(status[:maxStatusBytes-3], "") + "..."
	}
	return status
}
