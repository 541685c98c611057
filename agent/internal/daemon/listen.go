package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/stepagent/stepagent/agent/internal/config"
)

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
		return nil, fmt.Errorf("cannot listen on %s: this machine does not have that address; see those that it has with: ip address; or listen on all with --host ::", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE); choose another with --port", address)
	default:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
}
