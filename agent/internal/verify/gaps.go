package verify

import (
	"fmt"
	"time"
)

// gaps measures the time between the end of each step and the beginning of the next.
func (v *verifier) gaps(steps []*Step) {
	var before *Step
	for _, s := range steps {
		if s.RepeatOf != 0 {
			before = nil // who repeats a request is not at the next step
			continue
		}
		if before != nil && !before.settled.IsZero() && before.Outcome != Unjudged && !s.exchange.message.unsure {
			before.gap, before.hasGap = s.began(before.settled).Sub(before.settled), true
			before.Gap = seconds(before.gap)
		}
		before = s
	}
}

// began returns when the client went on with the step: when it sent the request, or opened
// the connection for it.
func (s *Step) began(after time.Time) time.Time {
	e := s.exchange
	opened := e.dialog.conn.Opened.Time
	if e.dialog.exchanges[0] == e && !opened.IsZero() && opened.After(after) {
		return opened
	}
	return e.message.begin.Time
}

// judgeGap judges the interval after a step.
func (v *verifier) judgeGap(s *Step) {
	if !s.hasGap || !s.hasWait {
		return
	}
	t := v.opts.Tolerances
	late := max(t.Late, s.interval/100*time.Duration(t.LatePercent))
	switch off := s.gap - s.interval; {
	case s.gap < 0:
		s.find(Fail, "interval", s.Request.First, fmt.Sprintf("the client went on %s before it was done with the step", span(-s.gap)))
	case off < -t.Early:
		s.find(Fail, "interval", s.Request.First, fmt.Sprintf("the interval of %s was cut short: the client waited %s", declared(s.interval), span(s.gap)))
	case off > late && s.doubled():
		s.find(Fail, "interval", s.Request.First, fmt.Sprintf("the interval of %s was waited twice: %s", declared(s.interval), span(s.gap)))
	case off > late:
		s.find(Fail, "interval", s.Request.First, fmt.Sprintf("the interval of %s was overrun: the client waited %s", declared(s.interval), span(s.gap)))
	}
}

// doubled reports whether the gap is twice the interval, within a tenth of it and what a
// computer adds.
func (s *Step) doubled() bool {
	const adds = 30 * time.Millisecond
	off := s.gap - 2*s.interval
	return s.interval > 0 && off > -s.interval/10 && off < max(s.interval/5, adds)
}
