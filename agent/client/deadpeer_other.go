//go:build !linux

package client

import (
	"net"
	"time"
)

// setUserTimeout does nothing: only Linux has this limit by socket.
func setUserTimeout(*net.TCPConn, time.Duration) {}
