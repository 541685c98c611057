package stepfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A Finding is an error or a warning at one place of a step file, with the further steps that
// have the same.
type Finding struct {
	// Line and Column are the first place. Both count from 1, columns in bytes.
	Line, Column int
	// Step is the step's position in the procedure, from 1; 0 if the finding is not about a step.
	Step int
	// Key is the key that the finding is about; empty for none.
	Key string
	// Message says what is wrong and what to do, in lower case and without a full stop.
	Message string
	// Warning: the file can be run, but an agent with its defaults will probably refuse the step.
	Warning bool
	// More is how many further steps have the same finding, Also their positions.
	More int
	Also Positions
}

// Compare orders findings by their places.
func (f Finding) Compare(other Finding) int {
	return cmp.Or(cmp.Compare(f.Line, other.Line), cmp.Compare(f.Column, other.Column))
}

// Repeat adds a further step with the same finding. Steps are added in order.
func (f *Finding) Repeat(step int) {
	f.More++
	f.Also.add(step)
}

// String returns the finding as line:column: step 3: timeout: message, and after that the
// further steps.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d: ", f.Line, f.Column)
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Step > 0 {
		fmt.Fprintf(&b, "step %d: ", f.Step)
	}
	if f.Key != "" {
		fmt.Fprintf(&b, "%s: ", f.Key)
	}
	b.WriteString(f.Message)
	if len(f.Also.spans) > 0 {
		fmt.Fprintf(&b, "; likewise in %d more: %s", f.More, f.Also)
	}
	return b.String()
}

// maxSpans is how many spans one finding shows.
const maxSpans = 8

// Positions are positions of steps in a procedure, as spans. The zero value has none.
type Positions struct {
	spans []span
	cut   bool // there are more than the spans show
}

type span struct{ first, last int }

// add adds a position, which is not below those before.
func (p *Positions) add(position int) {
	last := len(p.spans) - 1
	switch {
	case p.cut:
	case last >= 0 && p.spans[last].last >= position-1:
		p.spans[last].last = position
	case len(p.spans) == maxSpans:
		p.cut = true
	default:
		p.spans = append(p.spans, span{position, position})
	}
}

// String returns the positions as: step 3; steps 3, 5 to 9, 12 and others.
func (p Positions) String() string {
	texts := make([]string, len(p.spans))
	for i, s := range p.spans {
		switch s.last - s.first {
		case 0:
			texts[i] = strconv.Itoa(s.first)
		case 1:
			texts[i] = fmt.Sprintf("%d, %d", s.first, s.last)
		default:
			texts[i] = fmt.Sprintf("%d to %d", s.first, s.last)
		}
	}
	text := "steps " + strings.Join(texts, ", ")
	switch {
	case p.cut:
		return text + " and others"
	case len(p.spans) == 1 && p.spans[0].first == p.spans[0].last:
		return "step " + texts[0]
	}
	return text
}

// An Error says why a step file cannot be run.
type Error struct {
	Name     string    // of the file
	Findings []Finding // at least one, none a warning
}

// Error returns one line for each finding, beginning with the name of the file.
func (e *Error) Error() string {
	lines := make([]string, len(e.Findings))
	for i, finding := range e.Findings {
		lines[i] = e.Name + ":" + finding.String()
	}
	return strings.Join(lines, "\n")
}

// AsError returns an *Error with the findings that are not warnings; nil if there are none.
func AsError(name string, findings []Finding) error {
	var problems []Finding
	for _, finding := range findings {
		if !finding.Warning {
			problems = append(problems, finding)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &Error{Name: name, Findings: problems}
}
