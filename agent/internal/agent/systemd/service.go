// Package systemd talks to the service manager: it reports when the agent is ready, reloads and
// stops, feeds the watchdog, and takes sockets that systemd has opened; see sd_notify(3),
// sd_watchdog_enabled(3) and sd_listen_fds(3). It also looks up what a unit can access.
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

// A Service is this process as a service of systemd. Its methods are safe for concurrent use.
// Outside systemd, and on a nil Service, they do nothing.
type Service struct {
	watchdog  time.Duration
	listeners []net.Listener
	log       *slog.Logger

	mu     sync.Mutex
	status string // sent last; guarded by mu
}

// New reads the environment variables of systemd and takes the sockets passed to this process. It must
// be called once, before any other process is started: from then on exec(2) closes the sockets. An
// error means that the unit asks for something that this process cannot do.
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

// WatchdogTimeout returns the time without a call of Alive after which systemd considers the process
// hung; 0 without a watchdog.
func (s *Service) WatchdogTimeout() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog
}

// Inherited returns the listening sockets that systemd has opened for this process.
func (s *Service) Inherited() []net.Listener {
	if s == nil {
		return nil
	}
	return s.listeners
}

// Close closes the inherited sockets. Systemd keeps its own copies, where connections wait for the next
// process.
func (s *Service) Close() {
	if s == nil {
		return
	}
	for _, listener := range s.listeners {
		_ = listener.Close() // mostly closed already
	}
}

// Ready reports that the process serves, after a start or a reload.
func (s *Service) Ready(status string) { s.notify(status, daemon.SdNotifyReady) }

// Reloading reports that a reload has begun; Ready ends it.
func (s *Service) Reloading() { s.notify("", daemon.SdNotifyReloading) }

// Stopping reports that the process stops, and the longest time that may take, even if
// TimeoutStopSec of the unit is shorter.
func (s *Service) Stopping(status string, within time.Duration) {
	s.notify(status, daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", within.Microseconds()))
}

// Status updates the status.
func (s *Service) Status(status string) { s.notify(status) }

// Alive feeds the watchdog and updates the status.
func (s *Service) Alive(status string) { s.notify(status, daemon.SdNotifyWatchdog) }

// notify sends assignments, with the status if it has changed.
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
		s.log.Error("cannot notify systemd", slog.String("message", assignments[0]), slog.Any("error", err))
	}
}

// maxStatusBytes keeps a message below the 4096 bytes of NOTIFY_BUFFER_MAX.
const maxStatusBytes = 1024

// oneLine replaces control characters and shortens the status. A second line would be an assignment
// of its own, and the text may come from a validator.
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
