package verify

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A pause is the time between the end of a step and the start of the next, and what bounds it.
// The bounds hold for any missing packets, and on either side of a link where the capture was
// taken.
type pause struct {
	step, next *step
	// length is the pause by the times of the packets.
	length time.Duration
}

// measurePauses measures the pauses between the steps of a session.
func (e *evidence) measurePauses(in *session) {
	var before *step
	for _, s := range in.steps {
		if s.RepeatOf != 0 || s.AgainIn != 0 {
			before = nil // a client that repeats a request is not at the next step
			continue
		}
		if before != nil && !before.settled.IsZero() && before.Outcome != result.Unjudged && !s.exchange.Message.AfterGap {
			p := &pause{step: before, next: s, length: s.began(before.settled).Sub(before.settled)}
			if p.length >= 0 || before.interval.Duration > 0 { // a client without intervals may send ahead
				before.pause = p
				before.Gap = secondsOf(protocol.Seconds(p.length))
			}
		}
		before = s
	}
	long, all := 0, 0
	for _, s := range in.steps {
		if s.pause != nil && s.interval.Declared && !s.pause.lost() {
			all++
			if s.pause.excess() > e.opts.lateBy(s.interval.Duration) {
				long++
			}
		}
	}
	const several = 3
	in.slow = long == all && all >= several
}

// excess returns how much longer than the declared interval the pause is.
func (p *pause) excess() time.Duration { return p.length - p.step.interval.Duration }

// sameConn reports whether both steps came over one connection.
func (p *pause) sameConn() bool { return p.step.exchange.Conn == p.next.exchange.Conn }

// unreplied returns whether the client waited for a reply until the timeout.
func (p *pause) unreplied() bool {
	return p.step.exchange.Reply() == nil || p.step.Outcome == result.Late
}

// since returns the time from a packet of the client to the start of the next step, and its margin
// of error.
func (p *pause) since(from capture.Packet) (elapsed, margin time.Duration) {
	c, next := p.step.exchange.Conn, p.next.exchange
	if p.sameConn() {
		return c.Elapsed(from, next.FirstPacket())
	}
	return p.next.began(p.step.settled).Sub(from.Mark.Time), max(c.Jitter(), next.Conn.Jitter())
}

// byClientClock returns the pause by the timestamps of the client; false without them. It counts
// from the acknowledgement of the reply, or from the request.
func (p *pause) byClientClock() (time.Duration, bool) {
	s, x := p.step, p.step.exchange
	if !x.Conn.ClientClock || !p.sameConn() {
		return 0, false
	}
	if p.unreplied() {
		elapsed, _ := p.since(x.FirstPacket())
		return elapsed - s.timeout.Duration, s.Outcome == result.Late || s.Outcome == result.TimedOut
	}
	ack, ok := x.AckOf(x.Reply())
	if !ok || ack.Mark.Packet == p.next.exchange.FirstPacket().Mark.Packet {
		return 0, false
	}
	elapsed, _ := p.since(ack)
	return elapsed, true
}

// sentAhead reports whether the client certainly sent the next request before it had the reply.
func (p *pause) sentAhead() bool {
	r, m := p.step.exchange.Reply(), p.next.exchange.Message
	return r != nil && p.sameConn() && m.AckedAtBegin >= 0 && m.AckedAtBegin < r.Message.To
}

// longest returns an upper bound; false when there is none.
func (p *pause) longest() (time.Duration, bool) {
	if p.unreplied() {
		return p.longestUnreplied()
	}
	x := p.step.exchange
	c, r := x.Conn, x.Reply()
	// The reply came after every copy of the request.
	elapsed, margin := p.since(x.FirstPacket())
	longest := elapsed + margin
	next := p.next.began(p.step.settled)
	if r.SentFirst(c) {
		longest = min(longest, next.Sub(r.Message.End.Time))
	}
	if before, ok := c.ToClient.LastBefore(r.Message.To - 1); ok {
		longest = min(longest, next.Sub(before.Mark.Time))
	}
	if i := c.ToAgent.FirstAcking(r.Message.To) - 1; i >= 0 {
		elapsed, margin := p.since(c.ToAgent.Packets[i])
		longest = min(longest, elapsed+margin)
	}
	return longest, true
}

func (p *pause) longestUnreplied() (time.Duration, bool) {
	x := p.step.exchange
	from := x.FirstPacket()
	if !x.SentFirst() {
		before, ok := x.Conn.ToAgent.LastBefore(x.Message.From)
		if !ok {
			return 0, false
		}
		from = before
	}
	elapsed, margin := p.since(from)
	if p.step.Outcome == result.Lost {
		return elapsed + margin, true
	}
	return elapsed + margin - p.step.timeout.Duration, true
}

// lost reports whether the agent ended the connection of the step before the client went on.
func (p *pause) lost() bool {
	agent, client := p.step.exchange.Conn.EndedBy()
	return !p.sameConn() && !agent.IsZero() && (client.IsZero() || agent.Before(client)) && agent.Before(p.next.began(p.step.settled))
}

// shortest returns a lower bound; false when the next step may have begun before it is seen, or when the client
// may have found no agent at first: a refused connection that is missing leaves no trace.
func (p *pause) shortest() (time.Duration, bool) {
	s, x := p.step, p.step.exchange
	switch {
	case s.session.slow && s.session.sure && !p.lost(): // no loss delays every step
	case !p.sameConn() || !p.next.exchange.SentFirst():
		return 0, false
	}
	from, waited := x.FirstPacket(), s.timeout.Duration
	switch {
	case s.Outcome == result.Lost:
		return p.length - x.Conn.ReturnDelay(), true
	case !p.unreplied():
		ack, ok := x.AckOf(x.Reply())
		if !ok {
			return 0, false
		}
		from, waited = ack, 0
	}
	elapsed, margin := p.since(from)
	return elapsed - margin - waited, true
}

// certainTimes reports whether the times at both ends of the pause are certain.
func (p *pause) certainTimes() bool {
	return p.step.exchange.CertainTimes() && p.next.exchange.CertainTimes() &&
		(p.sameConn() || p.step.session.sure && !p.step.session.mixed)
}

// clocksApart reports whether the times of the pause may be of several clocks.
func (p *pause) clocksApart() bool {
	return p.step.exchange.Conn.TCP.Apart || p.next.exchange.Conn.TCP.Apart
}
