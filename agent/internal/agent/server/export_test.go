package server

// Parked returns how many connections are parked and have nothing under way.
func (s *Server) Parked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		c.mu.Lock()
		if c.phase == parked {
			n++
		}
		c.mu.Unlock()
	}
	return n
}
