package daemon

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/stepagent/stepagent/agent/internal/config"
)

// listen opens the port, or says what to do about it.
func listen(c *config.Loaded) (net.Listener, error) {
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: port %d is taken; see who has it with: ss -ltnp 'sport = :%d'; or choose another with --port",
			address, c.Port, c.Port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("cannot listen on %s: this machine does not have that address; see those that it has with: ip address; or listen on all with --host 0.0.0.0", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE); choose another with --port", address)
	default:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
}
