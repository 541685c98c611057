package verify

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A procedureCheck compares what each client sent with a procedure, as often as it ran it. After
// a step that the agent could not judge, the client may have sent it again. Where steps may be
// missing, the comparison continues at the next step that agrees.
type procedureCheck struct {
	*evidence
	procedure *stepfile.Procedure
}

func (p *procedureCheck) run() {
	for _, c := range p.chains {
		p.check(c)
	}
	if len(p.sessions) == 0 {
		p.report.Findings.Add(result.Inconclusive, "procedure_short", 0, "no step of %s is in the capture", p.procedure.Name)
	}
}

func (p *procedureCheck) check(c *chain) {
	steps, name := p.procedure.Steps, p.procedure.Name
	next, skipped := 0, false
	unsent := p.unsent(c)
	for i, s := range c.steps {
		for unsent[next] {
			next++
		}
		differs := difference(s, steps[next%len(steps)])
		if differs != "" && c.mayLackBefore(i) {
			for ahead := next + 1; ahead < next+len(steps); ahead++ {
				if difference(s, steps[ahead%len(steps)]) == "" {
					differs, next, skipped = "", ahead, true
					break
				}
			}
		}
		if differs != "" {
			s.Findings.Add(result.FailUnless(!s.exchange.Conn.Complete()), "procedure", s.Request.First,
				"step %d of %s differs: %s", next%len(steps)+1, name, differs)
		}
		if s.Outcome != result.Unjudged || s.Position == 0 {
			next++
		}
	}
	for unsent[next] {
		next++
	}
	last := c.sessions[len(c.sessions)-1]
	if rest := next % len(steps); rest != 0 {
		last.Findings.Add(result.Inconclusive, "procedure_short", 0,
			"%s has %s, and the last run shown has %d; whether more were sent, the capture does not show", name, phrase.Count(len(steps), "step"), rest)
	}
	if skipped {
		last.Findings.Add(result.Inconclusive, "procedure_gap", 0, "steps of %s are not in the capture, before others that are", name)
	}
	for _, s := range c.sessions {
		s.conclude()
	}
}

// unsent returns the steps of the procedure, from 0, that the recorded run of a client did not send.
func (p *procedureCheck) unsent(c *chain) map[int]bool {
	r, first, all := p.recordedRun, c.sessions[0], map[int]bool{}
	if r == nil || r.Cut() || r.Start.Session != "" && (!first.Named || first.ID != r.Start.Session) || r.Start.Session == "" && len(p.chains) > 1 {
		return all
	}
	for i, s := range r.Steps {
		all[i] = s.Outcome == record.Unreachable || s.Outcome == record.NotRun
	}
	return all
}

// mayLackBefore reports whether a step may be missing before the one at i: unless it is on the
// connection of the one before, without a gap.
func (c *chain) mayLackBefore(i int) bool {
	s := c.steps[i]
	if i == 0 {
		return !s.session.sure
	}
	return s.exchange.Conn != c.steps[i-1].exchange.Conn || !s.exchange.Conn.Complete()
}

// difference says how a request differs from a step of the procedure; empty when it does not.
func difference(s *step, want stepfile.Step) string {
	request := s.exchange.Request
	switch {
	case request.StepID != want.ID:
		return fmt.Sprintf("it has step_id %d, step_id %d was sent", want.ID, request.StepID)
	case request.Timeout.Declared && request.Timeout.Duration != want.Timeout:
		return fmt.Sprintf("it has a timeout of %s, %s was declared", phrase.Declared(want.Timeout), phrase.Declared(request.Timeout.Duration))
	case request.Interval.Declared && request.Interval.Duration != want.Interval:
		return fmt.Sprintf("it has an interval of %s, %s was declared", phrase.Declared(want.Interval), phrase.Declared(request.Interval.Duration))
	case !bytes.Equal(compact(request.Data), compact(want.Data)):
		return "other data was sent than it has"
	}
	return ""
}

// compact removes insignificant white space from JSON.
func compact(data []byte) []byte {
	value := jsontext.Value(bytes.Clone(data))
	if len(value) == 0 || value.Compact() != nil {
		return data
	}
	return value
}
