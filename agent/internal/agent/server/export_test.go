package server

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
