package server

import (
	"crypto/tls"
	"net"
	"time"

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

// IdleEnds returns when a client has been idle for too long, if it sends nothing.
func (s *Server) IdleEnds(client net.Addr) time.Time {
	c := s.connOf(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.reads.at
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

// PanicInHandshakes makes each handshake panic while it computes.
func (s *Server) PanicInHandshakes() {
	o := *s.options.Load()
	o.tls = o.tls.Clone()
	o.tls.VerifyConnection = func(tls.ConnectionState) error { panic("defect") }
	s.options.Store(&o)
}

// FreeHandshakeSlots returns how many slots of handshakes are free, and how many there are.
func (s *Server) FreeHandshakeSlots() (free, all int) {
	s.handshakes.mu.Lock()
	defer s.handshakes.mu.Unlock()
	return s.handshakes.free, s.handshakes.slots
}
