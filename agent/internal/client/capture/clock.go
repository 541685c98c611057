package capture

import (
	"cmp"
	"slices"
	"time"
)

// The timestamps of a sender are compared with the times of its packets when at least
// clockPackets have them and clockPercent of those agree on a rate of one tick a millisecond.
const (
	clockPackets = 5
	clockPercent = 75
	clockTick    = time.Millisecond
)

// A reading is the time of a packet and its TCP timestamp, both relative to the first packet.
type reading struct {
	mark        Mark
	time, clock time.Duration
}

// off is how much later the time is than the timestamp.
func (r reading) off() time.Duration { return r.time - r.clock }

func byOff(a, b reading) int { return cmp.Compare(a.off(), b.off()) }

// checkClocks compares both streams with the timestamps of their senders.
func (f *flow) checkClocks() {
	nearUp, nearDown := f.captureNear()
	f.conn.UpClock, f.conn.DownClock = f.checkClock(&f.up, nearUp), f.checkClock(&f.down, nearDown)
}

// checkClock compares the times of packets with their TCP timestamps (RFC 7323 section 4), which a
// changed time contradicts. A time that is too early always does. One that is too late does only
// where the capture was taken near to the sender: elsewhere the packet may have travelled for
// long. It reports whether the timestamps tick in milliseconds.
func (f *flow) checkClock(h *half, near bool) bool {
	readings := h.readings()
	if len(readings) < 2 {
		return false
	}
	usual := slices.SortedFunc(slices.Values(readings), byOff)[len(readings)/2].off()
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
	jitter := slices.MaxFunc(agree, byOff).off() - slices.MinFunc(agree, byOff).off() // of travel times
	for _, r := range readings {
		by := (r.off() - usual).Abs()
		switch {
		case by <= ClockTolerance+2*jitter, len(readings) < clockPackets, r.off() > usual && !near,
			span < rateSpan && r.otherRate(agree[0]):
			continue
		}
		f.conn.Contradictions = append(f.conn.Contradictions, Contradiction{Packet: r.mark.Packet, By: by})
	}
	return span >= rateSpan
}

// nearTime bounds the time in which a host answers a packet of the handshake when the capture is
// taken near to it.
const nearTime = 5 * time.Millisecond

// captureNear reports whether the capture was taken near to the end that opened the connection,
// and near to the other, by the times of the handshake.
func (f *flow) captureNear() (up, down bool) {
	c := f.conn
	if c.Opened.IsZero() || c.Accepted.IsZero() {
		return false, false
	}
	down = c.Accepted.Time.Sub(c.Opened.Time) < nearTime
	for i := range f.up.segments {
		if s := &f.up.segments[i]; !s.SYN && !s.Mark.Time.Before(c.Accepted.Time) {
			return s.Mark.Time.Sub(c.Accepted.Time) < nearTime, down
		}
	}
	return false, down
}

// rateSpan is how long timestamps must agree until their rate is known.
const rateSpan = time.Second

// otherRate reports whether a timestamp of another rate explains the difference to a reading that
// agrees.
func (r reading) otherRate(agree reading) bool {
	elapsed, ticked := r.time-agree.time, r.clock-agree.clock
	if elapsed == 0 {
		return false
	}
	rate := float64(ticked) / float64(elapsed)
	return rate > 0.02 && rate < 0.9 || rate > 1.1
}

// readings returns the times and timestamps of the packets.
func (h *half) readings() []reading {
	var all []reading
	var first *segment
	for i := range h.segments {
		s := &h.segments[i]
		if !s.HasClock || s.Damaged || s.RST {
			continue
		}
		if first == nil {
			first = s
		}
		ticks := int64(int32(s.Clock - first.Clock)) // the timestamp wraps
		all = append(all, reading{mark: s.Mark, time: s.Mark.Time.Sub(first.Mark.Time), clock: time.Duration(ticks) * clockTick})
	}
	return all
}
