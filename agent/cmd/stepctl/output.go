package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/term"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// written tells what an error of writing to stdout means. A reader that has gone away, as
// head does, has had enough, and that is nobody's mistake.
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

// isTerminal reports whether a line of w can be drawn again in its place.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// terminalWidth returns the columns of the terminal, 0 when they are not known.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// styleOf returns the style for what is written to w. NO_COLOR is as on no-color.org: set,
// and not empty.
func styleOf(w io.Writer) report.Style {
	if !isTerminal(w) {
		return report.Style{}
	}
	return report.Style{Width: terminalWidth(w), Colour: os.Getenv("NO_COLOR") == ""}
}
