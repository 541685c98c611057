package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// TestAllowed: who is served by which entry.
func TestAllowed(t *testing.T) {
	t.Parallel()
	for entry, who := range map[string]struct{ served, not string }{
		"loopback": {"127.0.0.1 127.255.0.9 ::1", "128.0.0.1 ::2 0.0.0.0"},
		"private": {"10.255.0.1 172.16.0.1 172.31.9.9 192.168.7.7 fc00::1 fdff::1",
			"172.32.0.1 192.169.0.1 100.64.0.1 fe80::1 2001:db8::1 127.0.0.1"},
		"link-local":    {"169.254.1.1 fe80::1 febf::1", "169.253.0.1 fec0::1"},
		"all":           {"8.8.8.8 2001:db8::1 127.0.0.1", ""},
		"192.0.2.7":     {"192.0.2.7", "192.0.2.6 192.0.2.8"},
		"192.0.2.0/25":  {"192.0.2.0 192.0.2.127", "192.0.2.128"},
		"2001:db8::/32": {"2001:db8:ffff::1", "2001:db9::1"},
	} {
		c := config.Default()
		c.Allow = []string{entry}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
		for addresses, want := range map[string]bool{who.served: true, who.not: false} {
			for _, address := range strings.Fields(addresses) {
				addr := netip.MustParseAddr(address)
				got := slices.ContainsFunc(c.Allowed(), func(p netip.Prefix) bool { return p.Contains(addr) })
				if got != want {
					t.Errorf("%s serves %s: %t, want %t", entry, addr, got, want)
				}
			}
		}
	}
}

// TestAllowLimits: no list, and one that is too long.
func TestAllowLimits(t *testing.T) {
	t.Parallel()
	for n, sound := range map[int]bool{0: false, 1: true, config.MaxAllow: true, config.MaxAllow + 1: false} {
		c := config.Default()
		c.Allow = slices.Repeat([]string{"loopback"}, n)
		if err := c.Validate(); (err == nil) != sound {
			t.Errorf("%d entries: %v", n, err)
		}
	}
}
