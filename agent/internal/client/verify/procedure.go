package verify

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A chain is the sessions of one client that follow one another: of a name, or of a
// connection.
type chain struct {
	sessions []*Session
	// steps are their steps, without those that only repeat a request.
	steps []*Step
}

// chains returns the chains in the order in which they began.
func (v *verifier) chains() []*chain {
	if v.chained == nil {
		v.chained = v.link()
	}
	return v.chained
}

// link makes the chains.
func (v *verifier) link() []*chain {
	type key struct{ agent, seat string }
	known := map[key]*chain{}
	var all []*chain
	for _, s := range v.report.Sessions {
		k := key{s.Agent.String(), s.seat}
		c := known[k]
		if c == nil {
			c = &chain{}
			known[k] = c
			all = append(all, c)
		}
		c.sessions, s.chain = append(c.sessions, s), c
		for _, step := range s.Steps {
			if step.RepeatOf == 0 {
				c.steps = append(c.steps, step)
			}
		}
	}
	return all
}

// give adds what the procedure has and the requests do not declare.
func (c *chain) give(p *stepfile.Procedure) {
	for i, s := range c.steps {
		want := p.Steps[i%len(p.Steps)]
		if s.StepID == nil || *s.StepID != want.ID {
			continue
		}
		if !s.hasTime {
			s.timeout, s.hasTime = want.Timeout, true
		}
		if !s.hasWait {
			s.interval, s.hasWait, s.IntervalGiven = want.Interval, true, true
		}
	}
}

// compareProcedure says whether what was sent is the procedure of the step file: by each
// client, and as often as it ran it. A step that was refused for a fault of the agent's own
// may have been sent again. Where steps may be missing, the procedure goes on at the next step
// that it has like the one that was sent.
func (v *verifier) compareProcedure(p *stepfile.Procedure) {
	for _, c := range v.chains() {
		next, missed := 0, false
		for i, s := range c.steps {
			differs := s.differs(p.Steps[next%len(p.Steps)])
			if differs != "" && c.mayLack(i) {
				if ahead, ok := s.ahead(p, next); ok {
					differs, next, missed = "", ahead, true
				}
			}
			if differs != "" {
				s.find(v.sureOf(s.exchange.dialog), "procedure", s.Request.First, fmt.Sprintf(
					"step %d of %s differs: %s", next%len(p.Steps)+1, p.Name, differs))
				s.Verdict = verdictOf(s.Findings)
			}
			if s.Outcome != Unjudged || s.Position == 0 {
				next++
			}
		}
		last := c.sessions[len(c.sessions)-1]
		if rest := next % len(p.Steps); rest != 0 {
			last.find(Inconclusive, "procedure_short", 0, fmt.Sprintf(
				"%s has %s, and the last run shown has %d; whether more were sent, the capture does not say", p.Name, count(len(p.Steps), "step"), rest))
		}
		if missed {
			last.find(Inconclusive, "procedure_gap", 0, "steps of "+p.Name+" are not in the capture, before others that are")
		}
		for _, s := range c.sessions {
			s.conclude()
		}
	}
	if len(v.report.Sessions) == 0 {
		v.report.find(Inconclusive, "procedure_short", 0, "nothing of "+p.Name+" is in the capture")
	}
}

// mayLack reports whether a step may be missing before the one at i: it is not on the same
// connection as the one before it, without a gap.
func (c *chain) mayLack(i int) bool {
	s := c.steps[i]
	if i == 0 {
		return !s.session.sure
	}
	before := c.steps[i-1].exchange
	return s.exchange.dialog != before.dialog || !s.exchange.dialog.whole()
}

// ahead returns the next step of the procedure that is like the one that was sent.
func (s *Step) ahead(p *stepfile.Procedure, next int) (int, bool) {
	for i := next + 1; i < next+len(p.Steps); i++ {
		if s.differs(p.Steps[i%len(p.Steps)]) == "" {
			return i, true
		}
	}
	return 0, false
}

// sureOf is the verdict of a contradiction: a fail, unless something of the dialog is missing.
func (v *verifier) sureOf(d *dialog) Verdict {
	if d.whole() {
		return Fail
	}
	return Inconclusive
}

// differs says in what a request is not that of the step.
func (s *Step) differs(want stepfile.Step) string {
	e := s.exchange
	switch {
	case e.request.StepID != want.ID:
		return fmt.Sprintf("it has step_id %d, step_id %d was sent", want.ID, e.request.StepID)
	case e.request.Timeout.Declared && e.request.Timeout.Duration != want.Timeout:
		return fmt.Sprintf("it has a timeout of %s, %s was declared", declared(want.Timeout), declared(e.request.Timeout.Duration))
	case e.request.Interval.Declared && e.request.Interval.Duration != want.Interval:
		return fmt.Sprintf("it has an interval of %s, %s was declared", declared(want.Interval), declared(e.request.Interval.Duration))
	case !bytes.Equal(compact(e.request.Data), compact(want.Data)):
		return "other data was sent than it has"
	}
	return ""
}

// compact returns JSON without the white space that means nothing.
func compact(data []byte) []byte {
	value := jsontext.Value(bytes.Clone(data))
	if len(value) == 0 || value.Compact() != nil {
		return data
	}
	return value
}
