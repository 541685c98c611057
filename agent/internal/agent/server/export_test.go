package server

import (
	"net"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// connOf returns the connection of a client.
func (s *Server) connOf(client net.Addr) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.addr.String() == client.String() {
			return c
		}
	}
	return nil
}

// StaleReady calls the handler of a client's connection as another loop may that had it before.
func (s *Server) StaleReady(client net.Addr) {
	s.connOf(client).Ready(&eventloop.Round{Buffer: make([]byte, eventloop.BufferBytes)}, false)
}

// Parked returns the number of connections that are parked and have nothing under way.
func (s *Server) Parked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		c.mu.Lock()
		if c.state.phase == parked {
			n++
		}
		c.mu.Unlock()
	}
	return n
}

// CloseConnections closes all connections as the timer of a delayed reply does that is not taken.
func (s *Server) CloseConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.close()
	}
}
