// Package logging makes the logger of the programs, for people on a terminal and for the
// machines that collect logs.
//
// Whatever is logged, a line stays one line and has nothing in it that a terminal would
// obey: what is not printable, in messages, keys and values, is escaped in every format.
// Colour is written to terminals alone.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Options say how to log.
type Options struct {
	// Format is
	//
	//	tint  for people: short times, levels in colour
	//	text  key=value, as package slog writes it
	//	json  one JSON object a line
	//	auto  tint on a terminal, else text; the same as no format
	Format string
	// Level is the least level that is written, slog.LevelInfo when nil. A *slog.LevelVar
	// can be changed at any time.
	Level slog.Leveler
	// Getenv looks up environment variables, os.Getenv when nil: JOURNAL_STREAM, NO_COLOR
	// and TERM.
	Getenv func(string) string
}

// New returns a logger that writes to w, a line with each call of Write. It may be used by
// many goroutines at once. A Queue is taken for the writer behind it.
//
// Where w is the journal of systemd, lines have no time, as the journal has its own, and begin
// with their priority, which the journal takes off again: sd-daemon(3). Tint has
// no colour where w is no terminal, the terminal is of no known type or "dumb", or NO_COLOR
// is set (https://no-color.org). The error says that the format is unknown.
func New(w io.Writer, o Options) (*slog.Logger, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	queue, queued := w.(*Queue)
	behind := w
	if queued {
		behind = queue.to
	}
	terminal := isTerminal(behind)
	if o.Format == "" || o.Format == "auto" {
		o.Format = "text"
		if terminal {
			o.Format = "tint"
		}
	}
	look := style{
		format: o.Format,
		level:  o.Level,
		colour: terminal && wantsColour(o.Getenv),
		noTime: isJournal(behind, o.Getenv("JOURNAL_STREAM")),
	}
	h := handler(w, look)
	switch {
	case h != nil && look.noTime:
		h = newPrioritised(w, func(w io.Writer) slog.Handler { return handler(w, look) })
	case h == nil:
		return nil, fmt.Errorf("%q is no log format; use auto, tint, text or json", o.Format)
	}
	logger := slog.New(h)
	if queued {
		queue.of(logger)
	}
	return logger, nil
}

// A style is what Options come to for one writer.
type style struct {
	format         string
	level          slog.Leveler
	colour, noTime bool
}

// handler returns nil when the format is unknown.
func handler(w io.Writer, s style) slog.Handler {
	options := &slog.HandlerOptions{Level: s.level}
	if s.noTime {
		options.ReplaceAttr = withoutTime
	}
	switch s.format {
	case "tint":
		return cleaner{tint.NewTextHandler(w, &tint.Options{Level: s.level, ReplaceAttr: options.ReplaceAttr,
			TimeFormat: "15:04:05.000", NoColor: !s.colour})}
	case "text":
		return slog.NewTextHandler(escaper{w}, options)
	case "json":
		return slog.NewJSONHandler(escaper{w}, options)
	default:
		return nil
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func wantsColour(getenv func(string) string) bool {
	kind := getenv("TERM")
	return kind != "" && kind != "dumb" && getenv("NO_COLOR") == ""
}

// withoutTime leaves out the time of the record itself.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}
