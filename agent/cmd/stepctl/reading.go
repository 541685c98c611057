package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// readingAfter is how long a capture is read before the terminal shows the progress.
const readingAfter = 500 * time.Millisecond

// A readProgress shows on a terminal how much of a capture has been read.
type readProgress struct {
	name  string
	size  int64 // of the file in bytes; 0 if unknown, as for a pipe
	began time.Time

	mu    sync.Mutex  // guards the fields below
	line  *statusLine // nil for none
	last  time.Time   // when the line was drawn
	ended bool
}

func newReadProgress(path string, to io.Writer) *readProgress {
	r := &readProgress{name: nameOf(path), began: time.Now()}
	if isTerminal(to) {
		r.line = &statusLine{to: to, width: func() int { return terminalWidth(to) }}
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

// show redraws the line. It is called by the reading goroutine, which may continue for a while after
// an interrupt.
func (r *readProgress) show(packets int, bytes int64) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line == nil || r.ended || now.Sub(r.began) < readingAfter || now.Sub(r.last) < redrawEvery {
		return
	}
	r.last = now
	text := fmt.Sprintf("reading %s: %d packets, %d MB", logging.Clean(r.name), packets, bytes/1e6)
	if r.size > 0 {
		text += fmt.Sprintf(" of %d, %d %%", r.size/1e6, min(100, bytes*100/r.size))
	}
	r.line.draw(text)
}

// done erases the line.
func (r *readProgress) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if !r.last.IsZero() {
		r.line.erase()
	}
}
