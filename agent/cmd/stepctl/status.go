package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// A phase is what a run does at the moment.
type phase uint8

const (
	connecting phase = iota
	replying
	pausing
)

// A status is what the status line tells.
type status struct {
	phase        phase
	place, total int
	failed       int
	until        time.Time
}

func (s *status) event(e record.Event, step record.StepResult) {
	switch e.Kind {
	case record.KindStart:
		s.place, s.total = 1, len(e.Start.Procedure.Steps)
	case record.KindSent:
		s.place = e.Index
		s.wait(replying, e.Timeout)
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		if step.Outcome != record.Passed {
			s.failed++
		}
	case record.KindInterval:
		s.phase = connecting
		s.place = e.Index + 1
	}
}

func (s *status) wait(phase phase, wait time.Duration) {
	s.phase, s.until = phase, time.Now().Add(wait)
}

// text returns the status line, in ASCII.
func (s *status) text(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %d of %d: ", s.place, s.total)
	switch left := countdown(s.until.Sub(now)); s.phase {
	case connecting:
		b.WriteString("connecting")
	case replying:
		b.WriteString("waiting for the reply, " + left + " left")
	case pausing:
		b.WriteString("keeping the interval, " + left + " left")
	}
	if s.failed > 0 {
		fmt.Fprintf(&b, "; %d failed so far", s.failed)
	}
	return b.String()
}

// countdown writes a time that runs down, in tenths of a second while that can be read.
func countdown(left time.Duration) string {
	left = max(left, 0)
	if left < time.Minute {
		return fmt.Sprintf("%.1f s", left.Seconds())
	}
	return left.Round(time.Second).String()
}
