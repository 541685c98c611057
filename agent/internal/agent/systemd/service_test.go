package systemd_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
)

// manager is systemd's end of sd_notify(3): a unix datagram socket.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 4096) // what systemd reads of one
		n, err := conn.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
}

func service(t *testing.T) *systemd.Service {
	t.Helper()
	s, err := systemd.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestMessages(t *testing.T) {
	next := manager(t)
	s := service(t)
	for _, step := range []struct {
		say  func()
		want string
	}{
		{func() { s.Ready("serving") }, "READY=1\nSTATUS=serving"},
		{func() { s.Alive("serving") }, "WATCHDOG=1"}, // the status is known
		{func() { s.Alive("1 connection") }, "WATCHDOG=1\nSTATUS=1 connection"},
		{func() { s.Reloading() }, "RELOADING=1"},
		{func() { s.Ready("refused") }, "READY=1\nSTATUS=refused"},
		{func() { s.Stopping("stopping", 15*time.Second) }, "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\nSTATUS=stopping"},
	} {
		step.say()
		if got := next(); got != step.want {
			t.Errorf("systemd got %q, want %q", got, step.want)
		}
	}
}

// TestStatusIsOneLine: a status adds no assignments and does not exceed the buffer of systemd.
func TestStatusIsOneLine(t *testing.T) {
	next := manager(t)
	s := service(t)
	s.Ready("a\nMAINPID=1\r\x1b[31mb")
	if got, want := next(), "READY=1\nSTATUS=a MAINPID=1  [31mb"; got != want {
		t.Errorf("systemd got %q, want %q", got, want)
	}
	s.Ready(strings.Repeat("é", 4000))
	got := next()
	if len(got) > 1100 || !strings.HasSuffix(got, "é...") {
		t.Errorf("systemd got %d bytes: %q", len(got), got)
	}
}

// TestOutsideSystemd: all methods do nothing, as on a nil Service.
func TestOutsideSystemd(t *testing.T) {
	for _, variable := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"} {
		t.Setenv(variable, "")
	}
	var none *systemd.Service
	for _, s := range []*systemd.Service{service(t), none} {
		s.Ready("x")
		s.Reloading()
		s.Alive("x")
		s.Stopping("x", time.Second)
		if s.WatchdogTimeout() != 0 || s.Inherited() != nil {
			t.Error("a watchdog or sockets without systemd")
		}
		s.Close()
	}
}

// TestNotifyFails: the failure is logged and has no other effect.
func TestNotifyFails(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	var log bytes.Buffer
	s, err := systemd.New(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.Ready("x")
	if !strings.Contains(log.String(), "cannot notify systemd") || !strings.Contains(log.String(), "READY=1") {
		t.Errorf("the log is %q", log.String())
	}
}

func TestWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	if got := service(t).WatchdogTimeout(); got != 30*time.Second {
		t.Errorf("systemd waits %v", got)
	}
	t.Setenv("WATCHDOG_PID", "1") // another process
	if got := service(t).WatchdogTimeout(); got != 0 {
		t.Errorf("systemd waits %v for another process", got)
	}
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := systemd.New(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "WatchdogSec") {
		t.Errorf("a watchdog without a number: %v", err)
	}
}

// TestSocketsOfOthers: sockets passed to another process are not taken.
func TestSocketsOfOthers(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if l := service(t).Inherited(); l != nil {
		t.Errorf("took %v", l[0].Addr())
	}
	if _, there := os.LookupEnv("LISTEN_FDS"); there {
		t.Error("a process that is started from here would take them for its own")
	}
	if _, err := os.Stdout.Stat(); errors.Is(err, os.ErrClosed) {
		t.Error("a descriptor was closed")
	}
}
