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
