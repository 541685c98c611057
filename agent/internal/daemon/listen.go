package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"github.com/stepagent/stepagent/agent/internal/config"
)

// listeners returns those that systemd has opened, which must be what the config says, or
// opens the port.
func listeners(ctx context.Context, c *config.Loaded, inherited []net.Listener) ([]net.Listener, error) {
	var problems config.Problems
	for _, listener := range inherited {
		if key, wrong := disagrees(ctx, c, listener.Addr()); wrong != "" {
			problems = append(problems, c.Problem(key, fmt.Sprintf("%s, but the socket that systemd has passed listens on %v; "+
				"change this key, or ListenStream with: systemctl edit stepagent.socket", wrong, listener.Addr())))
		}
	}
	switch {
	case len(problems) > 0:
		return nil, problems
	case len(inherited) > 0:
		return inherited, nil
	}
	listener, err := listen(c)
	if err != nil {
		return nil, err
	}
	return []net.Listener{listener}, nil
}

// disagrees says what the config has instead of the address of a socket that systemd has
// opened: commands find the agent by its port, and nobody may be let in whom the config
// keeps out.
func disagrees(ctx context.Context, c *config.Loaded, passed net.Addr) (key, wrong string) {
	tcp, ok := passed.(*net.TCPAddr)
	if !ok {
		return "port", fmt.Sprintf("is %d, of TCP", c.Port)
	}
	if c.Port != 0 && c.Port != tcp.Port {
		return "port", fmt.Sprintf("is %d", c.Port)
	}
	on := tcp.AddrPort().Addr().Unmap().WithZone("")
	if host, err := netip.ParseAddr(c.Host); err == nil {
		if host.IsUnspecified() && (host.Is6() || on.Is4()) || host.WithZone("") == on {
			return "", ""
		}
		return "host", "is " + c.Host
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.Host)
	if err != nil {
		return "host", fmt.Sprintf("is %s (%v)", c.Host, err)
	}
	if slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == on }) {
		return "", ""
	}
	return "host", "is " + c.Host
}

// listen opens the port, or says what to do about it.
func listen(c *config.Loaded) (net.Listener, error) {
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	network, local := "tcp", address
	switch addr, err := netip.ParseAddr(c.Host); {
	case err != nil: // a name
	case addr.Is4():
		network = "tcp4" // package net would make 0.0.0.0 every IPv6 address too
	case addr.IsUnspecified():
		local = net.JoinHostPort("", strconv.Itoa(c.Port)) // works where there is no IPv6 as well
	}
	listener, err := net.Listen(network, local)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: port %d is taken; see who has it with: ss -ltnp 'sport = :%d'; or choose another with --port",
			address, c.Port, c.Port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("cannot listen on %s: this machine does not have that address; see those that it has with: ip address; or listen on all of them with --host 0.0.0.0", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE); choose another with --port", address)
	default:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
}
