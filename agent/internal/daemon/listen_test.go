package daemon

import (
	"net"
	"strconv"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/config"
)

// TestListenFamilies: "0.0.0.0" is IPv4 alone, "::" is whatever the machine has.
func TestListenFamilies(t *testing.T) {
	for _, test := range []struct {
		host string
		six  bool
	}{{"0.0.0.0", false}, {"::", true}} {
		c := config.Default()
		c.Host, c.Port = test.host, 0
		listener, err := listen(&config.Loaded{Config: c})
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
