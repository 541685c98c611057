// Package logging creates the programs' loggers, for terminals and for log collectors.
//
// A record is always one line. Characters that are not printable are escaped in messages, keys
// and values, in every format, so that no input can control a terminal. Only terminals get
// colour.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Options configure New.
type Options struct {
	// Format is
	//
	//	tint  for people: short times, levels in colour
	//	text  key=value, as package slog writes it
	//	json  one JSON object a line
	//	auto  tint on a terminal, else text; the same as no format
	Format string
	// Level is the lowest level that is written; nil means slog.LevelInfo. A *slog.LevelVar
	// can be changed at any time.
	Level slog.Leveler
	// Getenv looks up JOURNAL_STREAM, NO_COLOR and TERM; nil means os.Getenv.
	Getenv func(string) string
}

// New returns a logger that writes one line to w with each call of Write. The logger is safe for
// concurrent use. An AsyncWriter is treated like the writer that it writes to.
//
// Lines to the systemd journal begin with their priority, see sd-daemon(3), and have no time,
// since the journal adds both. Tint is without colour where w is no terminal, TERM is empty or
// "dumb", or NO_COLOR is set (https://no-color.org). New fails for an unknown format.
func New(w io.Writer, o Options) (*slog.Logger, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	output := underlying(w)
	terminal := isTerminal(output)
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
		noTime: isJournal(output, o.Getenv("JOURNAL_STREAM")),
	}
	h := handler(w, look)
	switch {
	case h != nil && look.noTime:
		h = newPrioritised(w, func(w io.Writer) slog.Handler { return handler(w, look) })
	case h == nil:
		return nil, fmt.Errorf("%q is no log format; use auto, tint, text or json", o.Format)
	}
	logger := slog.New(h)
	if async, ok := w.(*AsyncWriter); ok {
		async.reportTo(logger)
	}
	return logger, nil
}

// underlying returns the writer behind an AsyncWriter, and any other writer as it is.
func underlying(w io.Writer) io.Writer {
	if async, ok := w.(*AsyncWriter); ok {
		return async.to
	}
	return w
}

// A style is the look of lines: the Options, resolved for one writer.
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

// withoutTime removes the record's own time.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}
