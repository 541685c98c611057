package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Control sequences of terminals. ECMA-48 has the first two, in sections 8.3.22 (CUU) and 8.3.39 (ED); the
// others reset and set DECAWM, the wrapping at the last column.
const (
	cursorUp   = "\x1b[%dA"
	eraseBelow = "\x1b[J"
	wrapOff    = "\x1b[?7l"
	wrapOn     = "\x1b[?7h"
)

// A statusBlock is lines of a terminal that are redrawn in place. The cursor is on the line below them.
type statusBlock struct {
	to    io.Writer
	drawn []string // what the terminal shows
}

// draw replaces the lines, which are cut to a number of columns; 0 for unknown. Wide characters may need
// more, so the terminal cuts lines too. Errors are ignored: a terminal that is gone shows nothing.
func (b *statusBlock) draw(lines []string, width int) {
	for i, line := range lines {
		if runes := []rune(line); width > 0 && len(runes) >= width {
			lines[i] = string(runes[:width-1])
		}
	}
	if slices.Equal(lines, b.drawn) {
		return
	}
	var out strings.Builder
	out.WriteString(wrapOff + b.top())
	for i, line := range lines {
		if i >= len(b.drawn) || b.drawn[i] != line {
			out.WriteString(line + eraseToEnd)
		}
		out.WriteString("\n")
	}
	out.WriteString(eraseBelow + wrapOn)
	_, _ = io.WriteString(b.to, out.String())
	b.drawn = slices.Clone(lines)
}

// erase erases the lines and leaves the cursor where they began.
func (b *statusBlock) erase() {
	_, _ = io.WriteString(b.to, b.top()+eraseBelow)
	b.drawn = nil
}

// top moves the cursor to the first of the lines.
func (b *statusBlock) top() string {
	if len(b.drawn) == 0 {
		return "\r"
	}
	return "\r" + fmt.Sprintf(cursorUp, len(b.drawn))
}
