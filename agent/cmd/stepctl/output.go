package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// written turns an error of writing to stdout into one with an exit code. A closed pipe is no error:
// the reader, such as head, wants no more.
func written(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return &exitError{exitEvidence, fmt.Errorf("cannot write the output: %w", err)}
}

// A stickyWriter writes until the first error, and keeps that.
type stickyWriter struct {
	to  io.Writer
	err error
}

func (w *stickyWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}

// A statusLine is a line of a terminal that is redrawn in place.
type statusLine struct {
	to    io.Writer
	width func() int // columns of the terminal, 0 if unknown
	drawn string     // what the terminal shows; empty for nothing
}

// eraseToEnd is EL of ECMA-48, section 8.3.41: it erases from the cursor to the line's end.
const eraseToEnd = "\x1b[K"

// draw replaces the line, which must be ASCII. It leaves the last column free, since some terminals
// wrap after it. Errors are ignored: a terminal that is gone shows nothing.
func (l *statusLine) draw(text string) {
	if width := l.width(); width > 0 && len(text) >= width {
		text = text[:width-1]
	}
	if text != l.drawn {
		_, _ = io.WriteString(l.to, "\r"+text+eraseToEnd)
		l.drawn = text
	}
}

func (l *statusLine) erase() {
	_, _ = io.WriteString(l.to, "\r"+eraseToEnd)
	l.drawn = ""
}

// isTerminal reports whether w is a terminal on which a line can be redrawn.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// terminalSize returns the columns and the rows of the terminal, 0 if unknown.
func terminalSize(w io.Writer) (width, height int) {
	file, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, _ = term.GetSize(int(file.Fd())) // 0 with an error
	return width, height
}

// terminalWidth returns the columns of the terminal, 0 if unknown.
func terminalWidth(w io.Writer) int {
	width, _ := terminalSize(w)
	return width
}

// styleOf returns the style of output to w. NO_COLOR is that of no-color.org.
func styleOf(w io.Writer) report.Style {
	if !isTerminal(w) {
		return report.Style{}
	}
	return report.Style{Width: terminalWidth(w), Colour: os.Getenv("NO_COLOR") == ""}
}

// interruptible returns a context that ends with the first signal; a second one ends the program.
func interruptible(cmd *cobra.Command) (ctx context.Context, release func()) {
	ctx, release = signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, release)
	return ctx, release
}

// completeFiles completes file names with the extensions, up to a number of arguments; 0 for any.
func completeFiles(most int, extensions ...cobra.Completion) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completeFlag completes the values of a flag.
func completeFlag(cmd *cobra.Command, flag string, values []string) {
	completeFlagBy(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// completeFlagBy completes the values of a flag by a function.
func completeFlagBy(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // no such flag
	}
}
