package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A boardsProgress view shows on a terminal a line for each board, which says what its run is doing or how
// it has ended; and above the lines the steps that failed. Where the terminal has too few rows, it shows
// the boards whose runs go on, and counts the others.
type boardsProgress struct {
	size func() (width, height int) // of the terminal
	// announce writes failures as lines. It is off if they are logged to the same terminal.
	announce bool

	mu     sync.Mutex // guards the rest
	block  statusBlock
	boards []boardProgress

	quit, done chan struct{} // of the redraw goroutine
}

func newBoardsProgress(to io.Writer, list []boards.Board, size func() (width, height int), announce bool) *boardsProgress {
	p := &boardsProgress{size: size, announce: announce, block: statusBlock{to: to}, boards: make([]boardProgress, len(list)),
		quit: make(chan struct{}), done: make(chan struct{})}
	for i, board := range list {
		p.boards[i] = boardProgress{all: p, name: board.Name}
	}
	go p.redraw()
	return p
}

func (p *boardsProgress) of(index int) view { return &p.boards[index] }

func (p *boardsProgress) suspend(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.above(write)
}

// above writes what is to stay above the lines. The caller holds mu.
func (p *boardsProgress) above(write func()) {
	p.block.erase()
	write()
	p.draw()
}

func (p *boardsProgress) end() {
	close(p.quit)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.block.erase()
}

// redraw draws the lines until the end. There may be hundreds of events a second, so they are drawn
// together.
func (p *boardsProgress) redraw() {
	defer close(p.done)
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		p.mu.Lock()
		p.draw()
		p.mu.Unlock()
		select {
		case <-p.quit:
			return
		case <-ticker.C:
		}
	}
}

// draw draws the lines. The caller holds mu.
func (p *boardsProgress) draw() {
	width, height := p.size()
	p.block.draw(p.lines(time.Now(), height-1), width) // the cursor needs a row
}

// lines returns at most as many lines as there are rows; with rows below 1 one for each board.
func (p *boardsProgress) lines(now time.Time, rows int) []string {
	all := rows < 1 || len(p.boards) <= rows
	var lines []string
	ended, bad, running := 0, 0, 0
	for i := range p.boards {
		b := &p.boards[i]
		switch {
		case b.ended:
			ended++
			if !b.passed {
				bad++
			}
		case b.begun():
			running++
		}
		if all || b.begun() && !b.ended && len(lines) < rows-1 {
			lines = append(lines, b.name+": "+b.text(now))
		}
	}
	if all {
		return lines
	}
	return append(lines, fmt.Sprintf("%d of %s ended, %d without a pass; %d in progress, %d waiting",
		ended, phrase.Count(len(p.boards), "board"), bad, running, len(p.boards)-ended-running))
}

// A boardProgress is the view of the run against one board.
type boardProgress struct {
	all  *boardsProgress
	name string

	status        status // guarded by all.mu, as the rest
	ended, passed bool
	sentence      string // of a run that has ended
}

func (b *boardProgress) suspend(write func()) { b.all.suspend(write) }

func (b *boardProgress) event(e record.Event, step record.StepResult) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	b.status.event(e, step)
	passed := e.Kind == record.KindReply && step.Outcome == record.Passed && step.Retry == ""
	if line := report.Line(e, step); line != "" && b.all.announce && !passed {
		b.all.above(func() { _, _ = fmt.Fprintf(b.all.block.to, "%s: %s\n", b.name, line) })
	}
}

func (b *boardProgress) interval(wait time.Duration) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	b.status.wait(pausing, wait)
}

func (b *boardProgress) result(run record.Run) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	b.ended, b.passed = true, run.Verdict == record.Pass
	b.sentence = report.Board{Name: b.name, Run: run}.Sentence()
}

// begun reports whether the run has begun. The caller holds all.mu.
func (b *boardProgress) begun() bool { return b.status.index > 0 }

// text says what the run is doing or how it has ended. The caller holds all.mu.
func (b *boardProgress) text(now time.Time) string {
	switch {
	case b.ended:
		return b.sentence
	case b.begun():
		return b.status.text(now)
	default:
		return "waiting"
	}
}
