// Package report tells what a run came to: as a table and one sentence for people, and as
// JSON for programs. Everything is taken from a record.Run; nothing here judges.
package report

import (
	"io"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Style says how a table looks. The zero value suits a file.
type Style struct {
	// Width is the number of columns of the terminal, which details are wrapped to; 0 wraps
	// nothing.
	Width int
	// Colour marks the verdicts.
	Colour bool
}

const (
	gap = 2
	// narrowest is the fewest columns that details are wrapped to.
	narrowest = 24
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

// Table writes one line for each expected step, and more where a detail is wrapped.
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
			colour = colourOf(run.Steps[i-1].Outcome)
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

// Wrap breaks a text into lines that fit the style's width.
func (s Style) Wrap(text string) string { return strings.Join(wrap(text, s.Width), "\n") }

// wrap breaks text between words into lines of at most limit columns, where there is a
// limit. A word that is longer is left whole.
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

func colourOf(outcome record.Outcome) string {
	switch outcome {
	case record.Passed:
		return green
	case record.NotRun, record.Unanswered:
		return yellow
	default:
		return red
	}
}
