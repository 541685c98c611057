package client_test

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/client"
)

// With several addresses a silent host is noticed within seconds; with one, as long as the system waits.
func TestDeadPeerOptions(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 5000} {
		var socket net.Conn
		c, err := client.Dial(t.Context(), listen(t, (*peer).drain), client.Options{Fallbacks: fallbacks(n),
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled, err := new(net.Dialer).DialContext(ctx, network, address)
				socket = dialled
				return over{dialled}, err
			}})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := socket.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got, idle int
		if err := raw.Control(func(fd uintptr) {
			got, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			idle, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		}); err != nil {
			t.Fatal(err)
		}
		if got != want || (idle == 2) != (n > 1) {
			t.Errorf("with %d addresses: user timeout %d ms, want %d, keepalive after %d s", n, got, want, idle)
		}
		_ = c.Close()
	}
}

// over is a connection over another one, as with TLS.
type over struct{ net.Conn }

func (o over) NetConn() net.Conn { return o.Conn }
