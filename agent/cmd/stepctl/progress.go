package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// redrawEvery is the time between two drawings of the status line.
const redrawEvery = 100 * time.Millisecond

// A progress view shows on a terminal, in a status line, which step is in progress and what it waits
// for; and above the line the steps that failed.
type progress struct {
	style func() report.Style // for the current width of the terminal
	// announce writes failures as lines. It is off if they are logged to the same terminal.
	announce bool

	mu     sync.Mutex // guards the next three
	line   statusLine
	status status
	ended  bool // by result

	quit, done chan struct{} // of the redraw goroutine
}

func newProgress(to io.Writer, style func() report.Style, announce bool) *progress {
	return &progress{style: style, announce: announce, quit: make(chan struct{}), done: make(chan struct{}),
		line: statusLine{to: to, width: func() int { return style().Width }}}
}

func (p *progress) suspend(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		write()
		return
	}
	p.line.erase()
	write()
	p.draw()
}

func (p *progress) event(e record.Event, step record.StepResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == record.KindStart {
		go p.redraw()
	}
	passed := e.Kind == record.KindReply && step.Outcome == record.Passed && step.Retry == ""
	if line := report.Line(e, step); line != "" && p.announce && !passed {
		p.line.erase()
		_, _ = fmt.Fprintln(p.line.to, line)
	}
	p.status.event(e, step)
	p.draw()
}

func (p *progress) interval(wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.wait(pausing, wait)
	p.draw()
}

func (p *progress) result(run record.Run) {
	close(p.quit)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.line.erase()
	style := p.style()
	unasked := run.Refused() && run.Counts[record.Unreachable]+run.Counts[record.NotRun] == len(run.Steps)
	if !run.Unreached() && !unasked {
		_ = report.Table(p.line.to, run, style) // the stickyWriter below keeps the error
	}
	_, _ = fmt.Fprintln(p.line.to, style.Wrap(report.Sentence(run)))
}

// redraw counts down the times of the status line until the result.
func (p *progress) redraw() {
	defer close(p.done)
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// draw draws the status line. The caller holds mu.
func (p *progress) draw() { p.line.draw(p.status.text(time.Now())) }

// A phase is what a run is doing.
type phase uint8

const (
	connecting phase = iota
	replying
	retrying
	pausing
)

// A status is the content of the status line.
type status struct {
	phase        phase
	index, total int       // of the step in progress
	failed       int       // steps so far
	until        time.Time // end of the wait
	// expires is the end of the step's timeout. trouble says why it is tried again, since a time.
	expires time.Time
	trouble string
	since   time.Time
}

func (s *status) event(e record.Event, step record.StepResult) {
	switch e.Kind {
	case record.KindStart:
		s.index, s.total = 1, len(e.Start.Procedure.Steps)
	case record.KindSent:
		s.index = e.Index
		s.wait(replying, e.Timeout)
		s.expires = s.until
	case record.KindAgain:
		s.retry(e)
	case record.KindResent:
		s.phase, s.until = replying, s.expires
	case record.KindReply, record.KindTimeout, record.KindLost, record.KindWrong, record.KindUnreachable:
		s.since = time.Time{}
		if step.Outcome != record.Passed {
			s.failed++
		}
	case record.KindResumed:
		s.phase = connecting
	case record.KindInterval:
		s.phase = connecting
		s.index = e.Index + 1
	}
}

// retry shows that a step is tried again.
func (s *status) retry(e record.Event) {
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.phase, s.index, s.trouble = retrying, e.Index, report.Trouble(e.Again.Cause)
}

func (s *status) wait(phase phase, wait time.Duration) {
	s.phase, s.until = phase, time.Now().Add(wait)
}

// text returns the status line, in ASCII.
func (s *status) text(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %d of %d: ", s.index, s.total)
	switch left := countdown(s.until.Sub(now)); s.phase {
	case connecting:
		b.WriteString("connecting")
	case replying:
		b.WriteString("waiting for the reply, " + left + " left")
	case retrying:
		fmt.Fprintf(&b, "%s, trying again (%.0f s)", s.trouble, now.Sub(s.since).Seconds())
	case pausing:
		b.WriteString("keeping the interval, " + left + " left")
	}
	if s.failed > 0 {
		fmt.Fprintf(&b, "; %d failed so far", s.failed)
	}
	return b.String()
}

// countdown formats a remaining time, below a minute in tenths of a second.
func countdown(left time.Duration) string {
	left = max(left, 0)
	if left < time.Minute {
		return fmt.Sprintf("%.1f s", left.Seconds())
	}
	return left.Round(time.Second).String()
}
