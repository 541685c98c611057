//go:build unix

package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// dialProblem says why there is no connection, and what to do where that is not plain.
func dialProblem(err error) string {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Sprintf("%v: this machine has no free port left for a connection to that address; use fewer clients, or widen net.ipv4.ip_local_port_range", err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Sprintf("%v: too many files are open on this machine; use fewer clients", err)
	default:
		return err.Error()
	}
}
