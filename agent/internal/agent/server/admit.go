package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/stepagent/stepagent/agent/protocol"
)

// admit serves the connection in a goroutine, or refuses it: with a reason past a limit, and
// without one where its address is not allowed.
func (s *Server) admit(nc net.Conn, mode Mode) {
	o := s.options.Load()
	addr := remote(nc)
	c := newConn(s, nc, addr)

	s.mu.Lock()
	full := ""
	switch {
	case s.draining.Load(): // Shutdown does not wait for new goroutines
		s.mu.Unlock()
		c.close()
		return
	case c.probing:
		s.running.Add(1)
		go c.serve(Plain)
	case !o.allows(addr.Addr()):
		s.stats.NotAllowed++
		s.mu.Unlock()
		c.close()
		c.warn(s.logLimits.stranger, "connection not allowed",
			slog.String("detail", "the list allow in the config does not have this address"))
		return
	case len(s.conns) >= o.Connections:
		full = fmt.Sprintf("the agent has %d connections, which is its limit; try again later", o.Connections)
	case s.byAddr[addr.Addr()] >= o.ConnectionsPerAddress:
		full = fmt.Sprintf("the agent has %d connections from this address, which is its limit; close one", o.ConnectionsPerAddress)
	default:
		s.stats.Accepted++
		s.conns[c] = struct{}{}
		s.byAddr[addr.Addr()]++
		s.running.Add(1)
		go c.serve(mode)
	}
	if full != "" {
		s.stats.Refused++
		s.refuse(c, mode, full)
	}
	s.mu.Unlock()
	if full != "" {
		c.warn(s.logLimits.refused, "connection refused", slog.String("detail", full))
	}
}

// refuse tells the client why in a goroutine. Past a limit of these it only closes the connection, so
// that a flood costs little. The caller holds mu: once Shutdown waits for goroutines, none may begin.
func (s *Server) refuse(c *conn, mode Mode, detail string) {
	select {
	case s.refusing <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.refusing }()
			if mode != Plain && c.sendsHello() {
				c.sendOverload()
				return
			}
			c.sendLast(protocol.Busy, detail)
		})
	default:
		c.close()
	}
}

// addTLS counts a connection on which a handshake begins; false past the limit.
func (s *Server) addTLS(c *conn) bool {
	limit := s.options.Load().TLSConnections
	s.mu.Lock()
	ok := s.tlsConns < limit
	if ok {
		s.tlsConns++
		c.overTLS = true
	} else {
		s.stats.Refused++
	}
	s.mu.Unlock()
	if !ok {
		c.warn(s.logLimits.refused, "connection refused", slog.String("detail",
			fmt.Sprintf("the agent has %d connections with TLS, which is its limit (tls.connections)", limit)))
	}
	return ok
}

// addPeer counts a connection whose handshake is complete. Past the limit of its identity it returns
// what to tell the client.
func (s *Server) addPeer(c *conn, p *peer) (full string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.peer = p
	if rule := p.rule.Load(); rule != nil && rule.Connections > 0 && s.byIdentity[p.identity] >= rule.Connections {
		s.stats.Refused++
		return fmt.Sprintf("the agent has %d connections of %s, which is its limit; close one", rule.Connections, p.identity)
	}
	p.counted = true
	s.byIdentity[p.identity]++
	return ""
}

// remove removes a connection that has closed.
func (s *Server) remove(c *conn) {
	defer s.running.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.probing {
		return
	}
	delete(s.conns, c)
	subtract(s.byAddr, c.addr.Addr())
	if c.overTLS {
		s.tlsConns--
	}
	if c.peer != nil && c.peer.counted {
		subtract(s.byIdentity, c.peer.identity)
	}
}

// subtract subtracts one from a count, and removes it at 0.
func subtract[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// countHandshake counts a handshake that has ended.
func (s *Server) countHandshake(outcome HandshakeOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Handshakes[outcome]++
	if outcome != HandshakeOK {
		s.stats.TLSRefused++
	}
}

// RecheckPeers looks at the certificates of all open connections with TLS again, by the options in
// force: those that are no longer accepted are closed after the step under way. Call it after
// SetOptions has changed the certificates or the rules. It verifies one certificate after the other,
// which takes about a tenth of a millisecond each.
func (s *Server) RecheckPeers() {
	s.mu.Lock()
	var conns []*conn
	for c := range s.conns {
		if c.peer != nil && c.peer.tls != nil {
			conns = append(conns, c)
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		s.recheck(c)
	}
}

// recheck makes the connection end if its certificate is not accepted by the options in force, and
// reports whether it is.
func (s *Server) recheck(c *conn) bool {
	rule, err := s.options.Load().recheck(c.peer)
	if err == nil {
		c.peer.rule.Store(rule)
		return true
	}
	if !c.peer.revoked.Swap(true) {
		s.log.LogAttrs(s.steps, slog.LevelWarn, "certificate no longer accepted; the connection ends",
			append(c.attrs(), slog.String("detail", explain(err)))...)
		c.drain()
	}
	return false
}

func remote(nc net.Conn) netip.AddrPort {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		addr := tcp.AddrPort()
		return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	return netip.AddrPort{} // a pipe or a unix socket
}
