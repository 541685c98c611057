package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// TestListenFamilies: "0.0.0.0" is IPv4 alone, "::" is whatever the machine has.
func TestListenFamilies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host string
		six  bool
	}{{"0.0.0.0", false}, {"::", true}} {
		c := config.Default()
		c.Host, c.Port = test.host, 0
		listener, err := tcpEndpoint{c.Host, c.Port, "--port"}.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
		if conn, err := net.Dial("tcp4", "127.0.0.1:"+port); err != nil {
			t.Errorf("%s: %v", test.host, err)
		} else {
			_ = conn.Close()
		}
		if hasIPv6(t) {
			conn, err := net.Dial("tcp6", "[::1]:"+port)
			if (err == nil) != test.six {
				t.Errorf("%s is reached by IPv6: %v, want %t", test.host, err, test.six)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		_ = listener.Close()
	}
}

// TestLocalhostIsThisMachine without a resolver's word for it.
func TestLocalhostIsThisMachine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that no resolver answers
	for host, want := range map[string]string{
		"localhost": "[127.0.0.1 ::1]", "LocalHost.": "[127.0.0.1 ::1]", "board.localhost": "[127.0.0.1 ::1]",
		"localhost.localdomain": "[127.0.0.1 ::1]", "192.0.2.7": "[192.0.2.7]", "fe80::1%eth0": "[fe80::1%eth0]",
	} {
		if got, err := resolve(ctx, host); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", host, got, err, want)
		}
	}
	for _, host := range []string{"localhost.example.com", "notlocalhost", "localhost4"} {
		if got, err := resolve(ctx, host); err == nil {
			t.Errorf("%s is %v", host, got)
		}
	}
}

// TestHostsThatCannotBe: what no waiting brings is an error, and the rest is not.
func TestHostsThatCannotBe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	for host, test := range map[string]struct {
		absent bool
		want   string
	}{
		"fe80::1":           {false, "cannot listen on [fe80::1]:" + strconv.Itoa(port) + ": a link-local address needs its interface; write it as in fe80::1%eth0; "},
		"127.0.0.1":         {false, "port " + strconv.Itoa(port) + " is taken; see who has it with: ss -ltnp"},
		"localhost":         {false, "cannot listen on localhost:"},
		"fe80::1%noiface":   {true, "this machine has no interface noiface; see those that it has with: ip link"},
		"fe80::1%4000000":   {true, "this machine has no interface 4000000"},
		"192.0.2.77":        {true, "this machine does not have the address 192.0.2.77; see those that it has with: ip address"},
		"board.example.com": {true, "the name board.example.com has no address now: "},
	} {
		c := config.Default()
		c.Host, c.Port = host, port
		s, err := tcpEndpoint{c.Host, c.Port, "--port"}.open(ctx)
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: it listens", host)
			continue
		}
		if absent := errors.As(err, new(absentError)); absent != test.absent || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: absent %t, %v; want %t, %s", host, absent, err, test.absent, test.want)
		}
	}
}

// TestZoneIsShown: the kernel does not say it of a socket that listens.
func TestZoneIsShown(t *testing.T) {
	t.Parallel()
	bound, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bound.Close() }()
	s := &tcpSocket{bound.(*net.TCPListener), netip.MustParseAddr("fe80::1%eth0"), 7}
	if got := s.boundAddr().String(); !strings.Contains(got, "%eth0:") {
		t.Errorf("got %s", got)
	}
}

// TestPortTakenMeanwhile: an agent that has waited for an address whose port is another's by then fails,
// with the error that it would have had at its start.
func TestPortTakenMeanwhile(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Host, c.Port = "192.0.2.77", 0
	l, err := newListener(t.Context(), tcpEndpoint{c.Host, c.Port, "--port"}, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() { _, err := l.Accept(); accepted <- err }()
	if err := l.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline that is over: %v", err)
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { _, err := l.Accept(); accepted <- err }()
	_ = l.end(syscall.EADDRINUSE)
	if err := <-accepted; !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the port is taken: %v", err)
	}
	_ = l.Close() // its error is the same
}

// hasIPv6 reports whether this machine has the loopback address of IPv6.
func hasIPv6(t *testing.T) bool {
	t.Helper()
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}
