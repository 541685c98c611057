package capture

import (
	"time"
)

// linger waits for the end of the connections.
func (l *Live) linger() {
	timeout := time.After(Linger)
	for !l.allOver() {
		select {
		case <-l.ended:
		case <-timeout:
			return
		}
	}
}

func (l *Live) allOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.ports {
		if !e.over() {
			return false
		}
	}
	return true
}

// An ending follows a connection until nothing more can come of it.
type ending struct {
	begun, reset bool
	// fins are the numbers behind each side's FIN, and acked whether the other side has
	// acknowledged it: of the agent at 1, of the client at 0.
	fins  [2]uint32
	known [2]bool
	acked [2]bool
}

// see takes a packet of the connection.
func (e *ending) see(s *segment, fromAgent bool) {
	own, other := 0, 1
	if fromAgent {
		own, other = 1, 0
	}
	e.begun = true
	e.reset = e.reset || s.rst
	if s.fin {
		e.fins[own], e.known[own] = s.seq+uint32(s.wire)+1, true
	}
	if s.acks && e.known[other] && s.ack == e.fins[other] {
		e.acked[other] = true
	}
}

// over reports whether the connection has ended, or has never begun.
func (e *ending) over() bool { return !e.begun || e.reset || e.acked[0] && e.acked[1] }
