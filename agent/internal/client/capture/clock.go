package capture

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The sender's clock is believed when at least so many packets carry it, and so many of a
// hundred agree that it goes at the usual thousand ticks a second.
const (
	clockPackets = 5
	clockPercent = 75
	clockTick    = time.Millisecond
)

// A reading is what a packet's time and its sender's clock say, both counted from the first
// packet.
type reading struct {
	mark        Mark
	time, clock time.Duration
}

// off is how much later the time is than the clock says.
func (r reading) off() time.Duration { return r.time - r.clock }

// checkClock compares the times of a stream's packets with the clock of their sender, which
// most systems put into every TCP packet (RFC 7323 section 4). A time that was changed
// afterwards does not fit any more: one that is too early never does, and one that is too late
// not where the capture was taken near to the sender, as elsewhere the packet may have been
// under way for long. It reports whether the clock goes at the usual rate.
func (c *Conn) checkClock(s *Stream, near bool) bool {
	readings := s.readings()
	if len(readings) < 2 {
		return false
	}
	offs := make([]time.Duration, len(readings))
	for i := range readings {
		offs[i] = readings[i].off()
	}
	slices.Sort(offs)
	usual := offs[len(offs)/2]
	var agree []reading
	for _, r := range readings {
		if (r.off() - usual).Abs() <= ClockTolerance {
			agree = append(agree, r)
		}
	}
	if len(agree)*100 < clockPercent*len(readings) {
		return false // another rate, or another clock
	}
	span := agree[len(agree)-1].time - agree[0].time
	// Where packets are not all under way for the same time, more has to be allowed.
	jitter := slices.MaxFunc(agree, byOff).off() - slices.MinFunc(agree, byOff).off()
	for _, r := range readings {
		by := (r.off() - usual).Abs()
		switch {
		case by <= ClockTolerance+2*jitter, len(readings) < clockPackets, r.off() > usual && !near,
			span < rateSpan && r.otherRate(agree[0]):
			continue
		}
		c.Contradictions = append(c.Contradictions, Contradiction{Packet: r.mark.Packet, By: by,
			Problem: fmt.Sprintf("the sender's own clock says otherwise, by %s", by.Round(time.Millisecond))})
	}
	return span >= rateSpan
}

func byOff(a, b reading) int { return cmp.Compare(a.off(), b.off()) }

// nearTime is how long a host takes at most to answer a packet of the opening of a connection
// that is captured near to it.
const nearTime = 5 * time.Millisecond

// near reports whether the capture was taken near to the one that opened the connection, and to
// the other, as far as its opening tells.
func (c *Conn) near() (up, down bool) {
	if c.Opened.IsZero() || c.Accepted.IsZero() {
		return false, false
	}
	down = c.Accepted.Time.Sub(c.Opened.Time) < nearTime
	for i := range c.Up.segments {
		if seg := &c.Up.segments[i]; !seg.syn && !seg.mark.Time.Before(c.Accepted.Time) {
			return seg.mark.Time.Sub(c.Accepted.Time) < nearTime, down
		}
	}
	return false, down
}

// rateSpan is how long a clock must be seen to agree until its rate is known.
const rateSpan = time.Second

// otherRate reports whether a clock that has another rate, as some systems have, explains why
// a reading does not fit those that agree, which are close together.
func (r reading) otherRate(agree reading) bool {
	elapsed, ticked := r.time-agree.time, r.clock-agree.clock
	if elapsed == 0 {
		return false
	}
	rate := float64(ticked) / float64(elapsed)
	return rate > 0.02 && rate < 0.9 || rate > 1.1
}

// readings returns what the packets of a stream say of time.
func (s *Stream) readings() []reading {
	var all []reading
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
		all = append(all, reading{mark: seg.mark, time: seg.mark.Time.Sub(from.mark.Time), clock: time.Duration(ticks) * clockTick})
	}
	return all
}
