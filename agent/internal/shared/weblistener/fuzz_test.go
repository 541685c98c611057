package weblistener

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzHost: only loopback addresses, localhost and the configured name pass, however a Host is written.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"localhost", "LOCALHOST.:1", "[::1]:80", "::1", "[::ffff:127.0.0.1]", "127.1", "bench.example:443", "a]b", "[[::1]]", "localhost:x:y", "localhost."} {
		f.Add(host)
	}
	g := newGuard(http.NotFoundHandler(), Options{Hosts: []string{"bench.example"}}, nil)
	f.Fuzz(func(t *testing.T, host string) {
		if !g.isOwnHost(&http.Request{Host: host}) {
			return
		}
		name := host
		if before, _, err := net.SplitHostPort(host); err == nil {
			name = before
		}
		name = strings.Trim(strings.ToLower(name), "[].")
		addr, err := netip.ParseAddr(name)
		if name != "localhost" && name != "bench.example" && (err != nil || !addr.IsLoopback()) {
			t.Errorf("%q passes", host)
		}
	})
}
