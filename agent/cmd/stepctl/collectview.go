package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/collect"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// logProgressEvery is the time between two log lines about the progress.
const logProgressEvery = time.Minute

// A collectView tells how far a collection is: at a terminal in a line that is redrawn, else in the log.
type collectView struct {
	log       *slog.Logger
	connected func() bool // whether there is a connection to NATS, which logs its own troubles

	mu       sync.Mutex  // guards the line and what it shows
	line     *statusLine // nil where stderr is no terminal
	text     string
	progress collect.Progress // as it was last logged
	logged   time.Time
}

// newCollectView returns a view that writes to stderr.
func newCollectView(stderr *os.File, format string) (*collectView, error) {
	logger, err := logging.New(stderr, logging.Options{Format: format})
	if err != nil {
		return nil, err
	}
	v := &collectView{log: logger, logged: time.Now()}
	if isTerminal(stderr) {
		v.line = &statusLine{to: stderr, width: func() int { return terminalWidth(stderr) }}
		v.log = slog.New(aboveLine{logger.Handler(), v})
	}
	return v, nil
}

// tell shows the progress.
func (v *collectView) tell(p collect.Progress) {
	before := v.progress.Trouble
	switch {
	case p.Trouble != before && p.Trouble != "" && v.connected():
		v.log.Warn("nothing is collected at the moment; it is tried again", slog.String("cause", p.Trouble))
	case p.Trouble == "" && before != "":
		v.log.Info("the results are collected again")
	}
	if v.line != nil {
		v.show(p)
	} else if p.Trouble == "" && time.Since(v.logged) >= logProgressEvery {
		v.logged = time.Now()
		v.log.Info("collected", slog.Int64("events", p.Events), slog.Int64("messages", p.Messages), slog.Int64("rejected", p.Rejected),
			slog.Uint64("behind", p.Behind), slog.Duration("lag", p.Lag.Round(time.Millisecond)))
	}
	v.progress = p
}

// show redraws the line.
func (v *collectView) show(p collect.Progress) {
	text := collectedText(p)
	if p.Trouble != "" {
		text += "; " + p.Trouble
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	v.line.draw(v.text)
}

// end removes the line.
func (v *collectView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.line != nil {
		v.line.erase()
		v.text = ""
	}
}

// collectedText says in one sentence what was done and what is left.
func collectedText(p collect.Progress) string {
	text := fmt.Sprintf("%s in %s collected", phrase.Count(int(p.Events), "event"), phrase.Count(int(p.Messages), "message"))
	if p.Known > 0 {
		text += fmt.Sprintf("; %s known already", phrase.CountAre(int(p.Known), "message"))
	}
	if p.Rejected > 0 {
		text += fmt.Sprintf("; %s put aside, see the table agent_rejects", phrase.Count(int(p.Rejected), "message"))
	}
	if p.Behind > 0 {
		text += fmt.Sprintf("; %s behind", phrase.Count(int(p.Behind), "message"))
	}
	if p.Lag > 0 {
		text += fmt.Sprintf(", the oldest %s old", phrase.Span(p.Lag))
	}
	return text
}

// An aboveLine handler writes log lines above the line of a view.
type aboveLine struct {
	slog.Handler
	view *collectView
}

// Handle implements slog.Handler.
func (h aboveLine) Handle(ctx context.Context, r slog.Record) error {
	h.view.mu.Lock()
	defer h.view.mu.Unlock()
	h.view.line.erase()
	err := h.Handler.Handle(ctx, r)
	if h.view.text != "" {
		h.view.line.draw(h.view.text)
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h aboveLine) WithAttrs(attrs []slog.Attr) slog.Handler {
	return aboveLine{h.Handler.WithAttrs(attrs), h.view}
}

// WithGroup implements slog.Handler.
func (h aboveLine) WithGroup(name string) slog.Handler {
	return aboveLine{h.Handler.WithGroup(name), h.view}
}
