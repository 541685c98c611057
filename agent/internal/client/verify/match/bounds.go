package match

import (
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
)

// What the packets say for certain about times. A capture may lack any packet and may be taken
// on either side of a link, so these are bounds: see docs/adr/0020-what-packets-prove.md.

// ReturnDelay returns how long a packet travels to the client and its answer back, as far as
// the handshake tells; close to 0 where the capture was taken at the client.
func (c *Conn) ReturnDelay() time.Duration {
	accepted := c.TCP.Accepted
	if accepted.IsZero() || c.ToAgent != c.TCP.Up {
		return 0
	}
	i := c.ToAgent.FirstAcking(0)
	if i == len(c.ToAgent.Packets) {
		return 0
	}
	return max(c.ToAgent.Packets[i].Mark.Time.Sub(accepted.Time), 0)
}

// RoundTrip returns the round-trip time of the handshake; 0 when it is not in the capture.
func (c *Conn) RoundTrip() time.Duration {
	opened, accepted := c.TCP.Opened.Time, c.TCP.Accepted.Time
	if opened.IsZero() || accepted.IsZero() {
		return 0
	}
	return accepted.Sub(opened) + c.ReturnDelay()
}

// Jitter bounds the difference in travel time between two packets of the client.
func (c *Conn) Jitter() time.Duration { return 2 * c.ReturnDelay() }

// Elapsed returns the time between two packets of the client and its margin of error: by the
// client's own clock where that is known, else by the times of the packets.
func (c *Conn) Elapsed(from, to capture.Packet) (elapsed, margin time.Duration) {
	const tick = 2 * time.Millisecond
	if c.ClientClock && from.HasClock && to.HasClock {
		return time.Duration(int32(to.Clock-from.Clock)) * time.Millisecond, tick // the clock wraps
	}
	return to.Mark.Time.Sub(from.Mark.Time), c.Jitter()
}

// SilentUntil returns the last time at which it is certain that the agent had sent, or the
// client had received, no more than the capture has.
func (c *Conn) SilentUntil() time.Time {
	var t time.Time
	if n := len(c.ToAgent.Packets); n > 0 && c.ToAgent.Packets[n-1].Acked >= 0 {
		t = c.ToAgent.Packets[n-1].Mark.Time
	}
	if c.TCP.Apart {
		return t // the agent's times are of another clock
	}
	for _, p := range slices.Backward(c.ToClient.Packets) {
		if p.Pure() { // a packet with bytes may be a second copy, sent after missing ones
			t = Later(t, p.Mark.Time)
			break
		}
	}
	return Later(t, c.ToClient.RST.Time)
}

// EndedBy returns when the agent and the client ended the connection; zero when they did not.
func (c *Conn) EndedBy() (agent, client time.Time) {
	return earlier(c.ToClient.FIN.Time, c.ToClient.RST.Time), earlier(c.ToAgent.FIN.Time, c.ToAgent.RST.Time)
}

// Closed returns when the connection ended; zero when it did not.
func (c *Conn) Closed() time.Time { return earlier(c.EndedBy()) }

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
