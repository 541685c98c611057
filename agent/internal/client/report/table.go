// Package report presents the result of a run: as a table and one sentence for people, and as a
// JSON summary for programs. Everything comes from a record.Run; the package judges nothing.
package report

import (
	"io"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Style says how text is laid out. The zero value suits a file.
type Style struct {
	Width  int  // columns to wrap details to; 0 for no wrapping
	Colour bool // colour the verdicts
}

const (
	gap       = 2  // columns between two cells
	narrowest = 24 // fewest columns to wrap details to
)

// The columns of the table.
const (
	colStep = iota
	colVerdict
	colReason
	colTime
	colDetail
	colCount
)

type row [colCount]string

// Table writes one line for each expected step, and further lines for wrapped details.
func Table(w io.Writer, run record.Run, style Style) error {
	rows := []row{{"step", "verdict", "reason", "response", "detail"}}
	for _, step := range run.Steps {
		rows = append(rows, cells(step))
	}
	widths := measure(rows)
	var b strings.Builder
	for i, cells := range rows {
		colour := ""
		if style.Colour && i > 0 {
			colour = presentations[run.Steps[i-1].Outcome].colour
		}
		writeRow(&b, cells, widths, style.Width, colour)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cells(step record.StepResult) row {
	response := "-"
	if Replied(step.Outcome) {
		response = Span(step.Took)
	}
	reason := "-"
	if step.Reason != "" {
		reason = logging.Clean(string(step.Reason))
	}
	return row{strconv.FormatInt(step.StepID, 10), Word(step.Outcome), reason, response, Detail(step)}
}

// measure returns the width of each column but the last.
func measure(rows []row) [colCount]int {
	var widths [colCount]int
	for _, cells := range rows {
		for i, cell := range cells[:colDetail] {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	return widths
}

func writeRow(b *strings.Builder, cells row, widths [colCount]int, total int, colour string) {
	indent := 0
	var line strings.Builder
	for i, cell := range cells[:colDetail] {
		padding := strings.Repeat(" ", widths[i]-columns(cell))
		switch {
		case i == colStep || i == colTime: // numbers
			line.WriteString(padding + cell)
		case i == colVerdict && colour != "":
			line.WriteString(colour + cell + reset + padding)
		default:
			line.WriteString(cell + padding)
		}
		line.WriteString(strings.Repeat(" ", gap))
		indent += widths[i] + gap
	}
	limit := 0
	if total-indent >= narrowest {
		limit = total - indent
	}
	for _, part := range wrap(cells[colDetail], limit) {
		line.WriteString(part)
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		line.Reset()
		line.WriteString(strings.Repeat(" ", indent))
	}
}

// Wrap breaks a text between words into lines of the style's width.
func (s Style) Wrap(text string) string { return strings.Join(wrap(text, s.Width), "\n") }

// wrap breaks text between words into lines of at most limit columns; 0 for no limit. A longer
// word gets a line of its own.
func wrap(text string, limit int) []string {
	if limit <= 0 {
		return []string{text}
	}
	lines := []string{""}
	for word := range strings.SplitSeq(text, " ") {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case columns(*last)+1+columns(word) <= limit:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// SGR codes of ECMA-48, section 8.3.117.
const (
	reset  = "\x1b[0m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)
