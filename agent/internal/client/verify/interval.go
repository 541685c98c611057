package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
)

// What the packets say for certain of how long a client waited. Each bound holds whichever
// packets are missing, on whichever side of a link the capture was taken: see ADR 0020.

// way returns how long a packet takes to the client and its answer back, as far as the opening
// of the connection tells: nothing to speak of where the capture was taken at the client.
func (d *dialog) way() time.Duration {
	accepted := d.conn.Accepted
	if accepted.IsZero() || d.up != d.conn.Up {
		return 0
	}
	i := d.up.FirstHeard(0)
	if i == len(d.up.Seen) {
		return 0
	}
	return max(d.up.Seen[i].Mark.Time.Sub(accepted.Time), 0)
}

// trip returns how long it takes from one end to the other and back, as far as the opening of
// the connection tells.
func (d *dialog) trip() time.Duration {
	opened, accepted := d.conn.Opened.Time, d.conn.Accepted.Time
	if opened.IsZero() || accepted.IsZero() {
		return 0
	}
	return accepted.Sub(opened) + d.way()
}

// jitter is how much two packets of the client may differ in how long they were on their way to
// where the capture was taken.
func (d *dialog) jitter() time.Duration { return 2 * d.way() }

// between returns the time from one packet of the client to another by its own clock, else by
// the times of the packets; it may be off by as much as margin says.
func (d *dialog) between(from, to capture.Seen) (time.Duration, time.Duration) {
	const tick = 2 * time.Millisecond
	if d.clock && from.HasClock && to.HasClock {
		return time.Duration(int32(to.Clock-from.Clock)) * time.Millisecond, tick // meant to wrap
	}
	return to.Mark.Time.Sub(from.Mark.Time), d.jitter()
}

// packet returns the packet that carries the first byte of the request.
func (e *exchange) packet() capture.Seen {
	up := e.dialog.up
	if i := up.FirstWith(e.message.from); i < len(up.Seen) {
		return up.Seen[i]
	}
	return capture.Seen{Mark: e.message.begin, Heard: -1}
}

// until returns how long it was from a packet of the client to the beginning of the next step.
func (s *Step) until(from capture.Seen) (time.Duration, time.Duration) {
	d, next := s.exchange.dialog, s.next.exchange
	if next.dialog == d {
		return d.between(from, next.packet())
	}
	return s.next.began(s.settled).Sub(from.Mark.Time), max(d.jitter(), next.dialog.jitter())
}

// heardReply returns the first packet of the client that acknowledges the reply.
func (s *Step) heardReply(a *answer) (capture.Seen, bool) {
	up := s.exchange.dialog.up
	i := up.FirstHeard(a.message.to)
	if i == len(up.Seen) {
		return capture.Seen{}, false
	}
	return up.Seen[i], true
}

// clientsWait returns how long the client waited by its own clock; false without one. It is
// counted from what the client sent: the acknowledgement of the reply, or the request.
func (s *Step) clientsWait() (time.Duration, bool) {
	d := s.exchange.dialog
	if !d.clock || s.next.exchange.dialog != d {
		return 0, false
	}
	a := s.exchange.reply()
	if a == nil || s.Outcome == Late {
		wait, _ := s.until(s.exchange.packet())
		return wait - s.timeout, s.Outcome == Late || s.Outcome == TimedOut
	}
	heard, ok := s.heardReply(a)
	if !ok || heard.Mark.Packet == s.next.exchange.packet().Mark.Packet {
		return 0, false
	}
	wait, _ := s.until(heard)
	return wait, true
}

// sentAhead reports whether it is certain that the client sent its next request before it had
// the reply.
func (s *Step) sentAhead() bool {
	a, next := s.exchange.reply(), s.next.exchange
	return a != nil && next.dialog == s.exchange.dialog && next.message.heardFirst >= 0 && next.message.heardFirst < a.message.to
}

// longestWait returns the longest time that the client can have waited; false when there is no
// bound.
func (s *Step) longestWait() (time.Duration, bool) {
	e := s.exchange
	d, a := e.dialog, e.reply()
	if a == nil || s.Outcome == Late {
		return s.longestAfterTimeout()
	}
	// The reply came after the client had asked, at least: each copy of a request is sent
	// before its reply has come.
	wait, margin := s.until(e.packet())
	longest := wait + margin
	last := a.message.to - 1
	next := s.next.began(s.settled)
	if d.down.SentFirst(last) {
		longest = min(longest, next.Sub(a.message.end.Time))
	}
	if not, ok := d.down.NotBefore(last); ok {
		longest = min(longest, next.Sub(not.Mark.Time))
	}
	if i := d.up.FirstHeard(a.message.to) - 1; i >= 0 {
		wait, margin := s.until(d.up.Seen[i])
		longest = min(longest, wait+margin)
	}
	return longest, true
}

func (s *Step) longestAfterTimeout() (time.Duration, bool) {
	e := s.exchange
	from := e.packet()
	if !e.dialog.up.SentFirst(e.message.from) {
		not, ok := e.dialog.up.NotBefore(e.message.from)
		if !ok {
			return 0, false
		}
		from = not
	}
	wait, margin := s.until(from)
	if s.Outcome == Lost {
		return wait + margin, true
	}
	return wait + margin - s.timeout, true
}

// resentAfter is how long a client waits at least until it asks for a connection again, of
// which the first packet was lost: a second, RFC 6298 section 2, less what timers are off.
const resentAfter = 900 * time.Millisecond

// shortestWait returns the shortest time that the client can have waited; false when its next
// step may have begun before it is seen to.
func (s *Step) shortestWait() (time.Duration, bool) {
	e, next := s.exchange, s.next.exchange
	d := e.dialog
	switch {
	case s.session.slow && s.session.sure: // the same each time: no loss makes that
	case next.dialog == d:
		if !d.up.SentFirst(next.message.from) {
			return 0, false
		}
	case !s.session.sure || !s.next.opened(s.settled) || s.gap-s.interval >= resentAfter:
		return 0, false
	}
	a := e.reply()
	switch {
	case s.Outcome == Lost:
		return s.gap - d.way(), true
	case a == nil || s.Outcome == Late:
		wait, margin := s.until(e.packet())
		return wait - margin - s.timeout, true
	}
	heard, ok := s.heardReply(a)
	if !ok {
		return 0, false
	}
	wait, margin := s.until(heard)
	return wait - margin, true
}
