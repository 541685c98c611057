// Package freeport finds TCP ports for tests whose servers are processes of their own.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// The range of the ports. It is below the range from which Linux takes the ports of clients and of
// listeners on port 0 (ip(7), ip_local_port_range), so that the kernel gives none of them away.
const lowest, highest = 20000, 31999

const (
	attempts     = 100
	closeTimeout = 10 * time.Second
)

// Free returns a port that no socket of the machine listens on, at any address. Another process can
// take the port before the caller's process listens on it.
func Free() (string, error) {
	for range attempts {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest+1))
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return "", err
		}
		return port, waitRefused(port)
	}
	return "", errors.New("no TCP port is free")
}

// waitRefused waits until the kernel refuses connections to the port. Closing the listener is not
// enough: a process that is being started has a copy of it until its exec, and the kernel
// accepts connections until then.
func waitRefused(port string) error {
	for deadline := time.Now().Add(closeTimeout); accepts(port); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("port " + port + " still accepts connections")
		}
	}
	return nil
}

func accepts(port string) bool {
	conn, err := net.Dial("tcp", "localhost:"+port)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
