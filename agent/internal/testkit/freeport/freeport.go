// Package freeport finds TCP ports for tests whose servers are processes of their own.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Where ports are looked for: below the range from which Linux takes the ports of clients
// and of listeners that ask for any (ip(7), ip_local_port_range), so that none of them takes one
// meanwhile.
const lowest, highest = 20000, 31999

const tries, patience = 100, 10 * time.Second

// Free returns a port on which nobody listens, at no address of the machine. Another process
// can take it before the caller's does.
func Free() (string, error) {
	for range tries {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest+1))
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return "", err
		}
		return port, silent(port)
	}
	return "", errors.New("no TCP port is free")
}

// silent waits until a connection to the port is refused. Closing the listener is not enough: a
// process that is being started has a copy of it until its exec, and connections go on being
// established by the kernel as long.
func silent(port string) error {
	for deadline := time.Now().Add(patience); answers(port); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("port " + port + " still takes connections")
		}
	}
	return nil
}

func answers(port string) bool {
	conn, err := net.Dial("tcp", "localhost:"+port)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}
