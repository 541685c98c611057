package verify

import (
	"fmt"
	"time"
)

// gaps measures the time between the end of each step and the beginning of the next.
func (v *verifier) gaps(session *Session) {
	var before *Step
	for _, s := range session.Steps {
		if s.RepeatOf != 0 {
			before = nil // who repeats a request is not at the next step
			continue
		}
		if before != nil && !before.settled.IsZero() && before.Outcome != Unjudged && !s.exchange.message.unsure {
			before.measure(s)
		}
		before = s
	}
	long, all := 0, 0
	for _, s := range session.Steps {
		if s.hasGap && s.hasWait {
			all++
			if s.gap-s.interval > v.lateBy(s) {
				long++
			}
		}
	}
	const several = 3
	session.slow = long == all && all >= several
}

// measure notes the gap from a step to the next. A client that need not wait may send its
// next request ahead.
func (s *Step) measure(next *Step) {
	gap := next.began(s.settled).Sub(s.settled)
	if gap < 0 && (!s.hasWait || s.interval == 0) {
		return
	}
	s.gap, s.hasGap, s.next = gap, true, next
	s.Gap = seconds(gap)
}

// began returns when the client went on with the step: when it sent the request, or opened
// the connection for it.
func (s *Step) began(after time.Time) time.Time {
	if s.opened(after) {
		return s.exchange.dialog.conn.Opened.Time
	}
	return s.exchange.message.begin.Time
}

// opened reports whether the client opened the connection for the step.
func (s *Step) opened(after time.Time) bool {
	e := s.exchange
	return e.dialog.exchanges[0] == e && e.dialog.conn.Opened.Time.After(after)
}

// lateBy is how much longer than declared the interval after a step may be.
func (v *verifier) lateBy(s *Step) time.Duration {
	t := v.opts.Tolerances
	return max(t.Late, s.interval/100*time.Duration(t.LatePercent))
}

// judgeGap judges the interval after a step. It was kept when the gap says so, or the client's
// own clock, which no link delays. That it was not is a fail only when every way in which the
// packets can have come about says so: see interval.go.
func (v *verifier) judgeGap(s *Step) {
	if !s.hasGap || !s.hasWait {
		return
	}
	early, late := v.opts.Tolerances.Early, v.lateBy(s)
	kept := func(d time.Duration) bool { return d-s.interval >= -early && d-s.interval <= late }
	if kept(s.gap) {
		return
	}
	if own, ok := s.clientsWait(); ok && kept(own) {
		return
	}
	var text string
	var certain bool
	switch off := s.gap - s.interval; {
	case s.gap < 0:
		text = fmt.Sprintf("the client went on %s before it was done with the step", span(-s.gap))
		certain = s.sentAhead()
	case off < 0:
		text = fmt.Sprintf("the interval of %s was cut short: the client waited %s", declared(s.interval), span(s.gap))
		longest, ok := s.longestWait()
		certain = ok && longest-s.interval < -early
	default:
		how := "overrun: the client waited"
		if s.doubled() {
			how = "waited twice:"
		}
		text = fmt.Sprintf("the interval of %s was %s %s", declared(s.interval), how, span(s.gap))
		shortest, ok := s.shortestWait()
		certain = ok && shortest-s.interval > late
	}
	verdict := Fail
	d, next := s.exchange.dialog, s.next.exchange.dialog
	if !certain || d.conn.Apart || next.conn.Apart || d != next && s.session.mixed {
		verdict = Inconclusive
		text += ", unless earlier copies of the packets are missing"
	}
	s.find(verdict, "interval", s.Request.First, text)
}

// doubled reports whether the gap is twice the interval, within a tenth of it and what a
// computer adds.
func (s *Step) doubled() bool {
	const adds = 30 * time.Millisecond
	off := s.gap - 2*s.interval
	return s.interval > 0 && off > -s.interval/10 && off < max(s.interval/5, adds)
}
