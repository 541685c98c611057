package capture

import (
	"fmt"
	"slices"
	"time"
)

// checkAcks looks at what the packets of s acknowledge of other: bytes that were received and
// are not in the capture, and bytes that were acknowledged before they were there.
func (s *Stream) checkAcks(c *Conn, of numbering, other *Stream) {
	if !of.known {
		return
	}
	at := of
	at.last = 0
	end := other.end()
	for _, m := range other.Missing {
		end = max(end, m.Offset+m.Bytes)
	}
	finished := !other.FIN.IsZero()
	for i := range s.segments {
		seg := &s.segments[i]
		if !seg.acks || seg.rst || seg.damaged {
			continue
		}
		to := at.offset(seg.ack)
		at.last = max(at.last, min(to, end+1))
		beyond := to - end
		if beyond == 1 && finished {
			beyond = 0 // a FIN counts as a byte
		}
		if beyond > 0 && beyond <= maxUnseen {
			other.Missing = append(other.Missing, Missing{Offset: end, Bytes: beyond, Near: seg.mark.Packet})
			end = to
		}
		m, ok := other.at(min(to, end) - 1)
		if by := m.Time.Sub(seg.mark.Time); ok && by > OrderTolerance {
			c.Contradictions = append(c.Contradictions, Contradiction{Packet: m.Packet, By: by,
				Problem: fmt.Sprintf("packet %d acknowledges its bytes %s before", seg.mark.Packet, by.Round(time.Microsecond))})
		}
	}
}

// maxUnseen is how many bytes at once can be acknowledged that the capture does not have; more
// is no acknowledgement of this stream. It is the largest window, RFC 7323 section 2.3.
const maxUnseen = 1 << 30

// The sender's clock is believed when at least so many packets carry it, and so many of a
// hundred agree that it goes at the usual thousand ticks a second.
const (
	clockPackets = 5
	clockPercent = 75
	clockTick    = time.Millisecond
)

// checkClock compares the times of a stream's packets with the clock of their sender, which
// most systems put into every TCP packet (RFC 7323 section 4). A time that somebody has
// changed afterwards does not fit any more.
func (c *Conn) checkClock(s *Stream) {
	type reading struct {
		mark Mark
		off  time.Duration
	}
	var readings []reading
	var from *segment
	for i := range s.segments {
		seg := &s.segments[i]
		if !seg.hasClock || seg.damaged || seg.rst {
			continue
		}
		if from == nil {
			from = seg
		}
		ticks := int64(int32(seg.clock - from.clock)) // meant to wrap
		readings = append(readings, reading{seg.mark, seg.mark.Time.Sub(from.mark.Time) - time.Duration(ticks*int64(clockTick))})
	}
	if len(readings) < clockPackets {
		return
	}
	offs := make([]time.Duration, len(readings))
	for i, r := range readings {
		offs[i] = r.off
	}
	slices.Sort(offs)
	usual := offs[len(offs)/2]
	agree := 0
	for _, off := range offs {
		if (off - usual).Abs() <= ClockTolerance {
			agree++
		}
	}
	if agree*100 < clockPercent*len(offs) {
		return // another rate, or another clock
	}
	for _, r := range readings {
		if by := (r.off - usual).Abs(); by > ClockTolerance {
			c.Contradictions = append(c.Contradictions, Contradiction{Packet: r.mark.Packet, By: by,
				Problem: fmt.Sprintf("the sender's own clock says otherwise, by %s", by.Round(time.Millisecond))})
		}
	}
}
