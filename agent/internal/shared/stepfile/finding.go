package stepfile

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// A Finding is something that is wrong, or odd, at one place of a step file, and perhaps in
// further steps.
type Finding struct {
	// Line and Column say where, at the first of several. Both count from 1, columns in bytes.
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
	// More is how many further times the same was found, in the steps that Also shows.
	More int
	Also Places
}

// Repeat notes that the same was found in a further step, which comes after those before.
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

// maxSpans is how many spans of steps one finding shows.
const maxSpans = 8

// Places are the places of steps in a procedure, as spans. The zero value has none.
type Places struct {
	spans []span
	// cut says that there are more than the spans show.
	cut bool
}

type span struct{ first, last int }

// add takes a further place, which is not below those before.
func (p *Places) add(place int) {
	last := len(p.spans) - 1
	switch {
	case p.cut:
	case last >= 0 && p.spans[last].last >= place-1:
		p.spans[last].last = place
	case len(p.spans) == maxSpans:
		p.cut = true
	default:
		p.spans = append(p.spans, span{place, place})
	}
}

// String returns the places as: step 3; steps 3, 5 to 9, 12 and others.
func (p Places) String() string {
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
	p.add(at, key, message, message, false)
}

// warn adds a warning. Warnings of one sort are one finding, whatever their messages are.
func (p *parser) warn(at int, key, sort, message string) {
	p.add(at, key, sort, message, true)
}

// A sort is what equal findings have in common.
type sort struct {
	key, name string
	warning   bool
}

// add adds a finding, or a step to an earlier one of the same sort.
func (p *parser) add(at int, key, name, message string, warning bool) {
	s := sort{key, name, warning}
	if known, ok := p.sorts[s]; ok && p.place > 0 {
		p.findings[known].Repeat(p.place)
		return
	}
	kept, further := &p.keptErrors, &p.furtherErrors
	if warning {
		kept, further = &p.keptWarnings, &p.furtherWarnings
	}
	if *kept == MaxFindings {
		*further++
		return
	}
	*kept++
	if p.place > 0 {
		p.sorts[s] = len(p.findings)
	}
	where := p.position(at)
	p.findings = append(p.findings, Finding{Line: where.Line, Column: where.Column,
		Step: p.place, Key: key, Message: message, Warning: warning})
}

// summarize adds a finding at the end that stands for those that are not kept.
func (p *parser) summarize(further int, what string, warning bool) {
	if further > 0 {
		where := p.position(len(p.data))
		p.findings = append(p.findings, Finding{Line: where.Line, Column: where.Column, Warning: warning, More: further - 1,
			Message: fmt.Sprintf("the number of further %s is %d", what, further)})
	}
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
	p.summarize(p.furtherErrors, "errors", false)
	p.summarize(p.furtherWarnings, "warnings", true)
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
