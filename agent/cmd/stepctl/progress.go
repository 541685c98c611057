package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// redrawEvery is the time from one drawing of the status line to the next.
const redrawEvery = 100 * time.Millisecond

// A progress view shows on a terminal which step is under way and what it waits for, in one
// line that is drawn again in its place, and above it what went wrong.
type progress struct {
	to io.Writer
	// style returns the style for the terminal as it is now.
	style func() report.Style
	// announce writes failures as lines of their own. It is off when they are logged to the
	// same terminal.
	announce bool

	mu     sync.Mutex
	status status
	// drawn is the status line as it stands on the terminal; empty for none.
	drawn string
	quit  chan struct{}
	done  chan struct{}
}

func newProgress(to io.Writer, style func() report.Style, announce bool) *progress {
	return &progress{to: to, style: style, announce: announce,
		quit: make(chan struct{}), done: make(chan struct{})}
}

func (p *progress) aside(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	do()
	p.draw()
}

func (p *progress) event(e record.Event, step record.StepResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == record.KindStart {
		go p.redraw()
	}
	if line := report.Line(e, step); line != "" && p.announce && !passed(e, step) {
		p.erase()
		_, _ = fmt.Fprintln(p.to, line)
	}
	p.status.event(e, step)
	p.draw()
}

// passed reports whether the event is the good end of a step.
func passed(e record.Event, step record.StepResult) bool {
	return e.Kind == record.KindReply && step.Outcome == record.Passed
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
	p.erase()
	style := p.style()
	if !run.Unreached() {
		_ = report.Table(p.to, run, style) // the stickyWriter below keeps the error
	}
	_, _ = fmt.Fprintln(p.to, style.Wrap(report.Sentence(run)))
}

// redraw lets the times of the status line run down, until the result.
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

// draw writes the status line over what is there, when it has changed. It leaves the last
// column free, so that no terminal goes on to the next line.
func (p *progress) draw() {
	text := p.status.text(time.Now())
	if width := p.style().Width; width > 0 && len(text) >= width {
		text = text[:width-1]
	}
	if text != p.drawn {
		_, _ = io.WriteString(p.to, "\r"+text+eraseToEnd)
		p.drawn = text
	}
}

func (p *progress) erase() {
	_, _ = io.WriteString(p.to, "\r"+eraseToEnd)
	p.drawn = ""
}

// eraseToEnd is EL of ECMA-48, section 8.3.41: it erases from the cursor to the line's end.
const eraseToEnd = "\x1b[K"
