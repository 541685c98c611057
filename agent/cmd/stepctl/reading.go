package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// readingAfter is how long a file is read until the terminal shows how far it is.
const readingAfter = 500 * time.Millisecond

// A reading shows on a terminal, in one line, how far a capture has been read.
type reading struct {
	to    io.Writer // nil for none
	name  string
	size  int64 // of the file in bytes, 0 when it is not known, as that of a pipe
	began time.Time

	mu    sync.Mutex
	last  time.Time // when the line was drawn
	ended bool
}

func newReading(path string, to io.Writer) *reading {
	r := &reading{name: nameOf(path), began: time.Now()}
	if isTerminal(to) {
		r.to = to
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		r.size = info.Size()
	}
	return r
}

// nameOf is a capture's name for people.
func nameOf(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// progress draws the line again. It is called by the goroutine that reads, which may be at work
// still when reading was interrupted.
func (r *reading) progress(packets int, bytes int64) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.to == nil || r.ended || now.Sub(r.began) < readingAfter || now.Sub(r.last) < redrawEvery {
		return
	}
	r.last = now
	text := fmt.Sprintf("reading %s: %d packets, %d MB", logging.Clean(r.name), packets, bytes/1e6)
	if r.size > 0 {
		text += fmt.Sprintf(" of %d, %d %%", r.size/1e6, min(100, bytes*100/r.size))
	}
	if width := terminalWidth(r.to); width > 0 && len(text) >= width {
		text = text[:width-1]
	}
	_, _ = fmt.Fprint(r.to, "\r", text, eraseToEnd) // a terminal that is gone needs no line
}

// done takes the line away.
func (r *reading) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if !r.last.IsZero() {
		_, _ = fmt.Fprint(r.to, "\r", eraseToEnd)
	}
}
