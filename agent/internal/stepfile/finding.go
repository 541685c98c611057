package stepfile

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// A Finding is something that is wrong, or odd, at one place of a step file.
type Finding struct {
	// Line and Column say where. Both count from 1, columns in bytes.
	Line, Column int
	// Step is the place of the step in the procedure, counted from 1; 0 when the finding is
	// about no single step.
	Step int
	// Key is the key that the finding is about; empty when it is about none.
	Key string
	// Message says what is wrong and what to do, in lower case and without a full stop.
	Message string
	// Warning tells what can be run, but will most likely not pass, from what cannot be run.
	Warning bool
}

// String returns the finding as line:column: step 3: timeout: message.
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
	return b.String()
}

// An Error says why a step file cannot be run.
type Error struct {
	// Name is the name of the file.
	Name string
	// Findings are the problems, none of them a warning; at least one.
	Findings []Finding
}

// Error returns one line for each finding, beginning with the name of the file.
func (e *Error) Error() string {
	lines := make([]string, len(e.Findings))
	for i, finding := range e.Findings {
		lines[i] = e.Name + ":" + finding.String()
	}
	return strings.Join(lines, "\n")
}

// AsError returns an *Error that holds the findings that are no warnings, or nil when there
// is none.
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

// fail adds an error.
func (p *parser) fail(at int, key, message string) {
	p.errors++
	if p.errors <= MaxFindings {
		p.add(at, key, message, false)
	}
}

// warn adds a warning.
func (p *parser) warn(at int, key, message string) {
	p.warnings++
	if p.warnings <= MaxFindings {
		p.add(at, key, message, true)
	}
}

func (p *parser) add(at int, key, message string, warning bool) {
	where := p.position(at)
	p.findings = append(p.findings, Finding{Line: where.Line, Column: where.Column,
		Step: p.place, Key: key, Message: message, Warning: warning})
}

// position returns the place of an offset; the end of the file is where its last line ends.
func (p *parser) position(at int) token.Position {
	if p.end == 0 {
		return token.Position{Line: 1, Column: 1}
	}
	return p.file.Position(p.file.Pos(min(at, p.end)))
}

// finish puts the findings in order and counts those that are not shown.
func (p *parser) finish() {
	p.place = 0
	if more := p.errors - MaxFindings; more > 0 {
		p.add(len(p.data), "", fmt.Sprintf("the number of further errors is %d", more), false)
	}
	if more := p.warnings - MaxFindings; more > 0 {
		p.add(len(p.data), "", fmt.Sprintf("the number of further warnings is %d", more), true)
	}
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
