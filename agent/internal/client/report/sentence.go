package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

const (
	// maxNamed is how many steps, or ranges of steps, one clause names; more are only counted.
	maxNamed = 6
	// maxProblems is how many problems the sentence tells apart; an agent may give each step a
	// reason of its own.
	maxProblems = 8
)

// Heading identifies a run in one line: procedure, agent and start.
func Heading(run record.Run) string {
	return fmt.Sprintf("%s against %s at %s", logging.Clean(run.Start.Procedure.Name), logging.Clean(run.Start.Address),
		run.Start.Time.Format("2006-01-02 15:04:05 -07:00"))
}

// Sentence says in one sentence how a run went.
func Sentence(run record.Run) string {
	total := len(run.Steps)
	if run.Unreached() {
		return fmt.Sprintf("no agent could be reached at %s; nothing was sent", Agents(run))
	}
	first := fmt.Sprintf("%d of %s passed", run.Counts[record.Passed], phrase.Count(total, "step"))
	switch {
	case run.Refused():
		first = fmt.Sprintf("no secure connection to %s: %s", logging.Clean(run.Start.Address), first)
	case total == 0:
		first = "nothing was run"
	case run.Verdict == record.Pass && total == 1:
		first = "pass: the only step was answered in order and in time"
	case run.Verdict == record.Pass:
		first = fmt.Sprintf("pass: all %d steps were answered in order and in time", total)
	case run.Cut():
		first = "the record ends before the run did: " + first
	case run.Cause == record.Interrupted:
		first = "interrupted: " + first
	}
	clauses := append([]string{first}, failures(run.Steps)...)
	return strings.Join(append(clauses, extras(run)...), "; ")
}

// A Problem is one way in which steps did not pass: an outcome and, if the agent refused them,
// the reason.
type Problem struct {
	Outcome record.Outcome
	Reason  protocol.Reason // of refused steps; empty if the agent gave none
	Steps   []*record.StepResult
}

// Problems groups the steps that did not pass, in order of occurrence. It returns at most limit
// problems, and how many steps have others.
func Problems(steps []record.StepResult, limit int) (problems []Problem, others int) {
	type key struct {
		outcome record.Outcome
		reason  protocol.Reason
	}
	known := map[key]int{}
	for i := range steps {
		s := &steps[i]
		if s.Outcome == record.Passed {
			continue
		}
		k := key{outcome: s.Outcome}
		if s.Outcome == record.Failed {
			k.reason = s.Reason
		}
		at, ok := known[k]
		if !ok && len(problems) == limit {
			others++
			continue
		}
		if !ok {
			at, known[k] = len(problems), len(problems)
			problems = append(problems, Problem{Outcome: k.outcome, Reason: k.reason})
		}
		problems[at].Steps = append(problems[at].Steps, s)
	}
	return problems, others
}

// failures has one clause for each problem.
func failures(steps []record.StepResult) []string {
	var clauses []string
	problems, others := Problems(steps, maxProblems)
	for _, p := range problems {
		verb := " were "
		if len(p.Steps) == 1 {
			verb = " was "
		}
		clauses = append(clauses, named(p.Steps)+verb+p.fate())
	}
	if others > 0 {
		clauses = append(clauses, phrase.Count(others, "more step")+" did not pass for other reasons")
	}
	return clauses
}

// fate says what happened to the steps, to follow "was" or "were".
func (p Problem) fate() string {
	fate := presentations[p.Outcome].fate
	if p.Outcome == record.Failed {
		fate += cmp.Or(logging.Clean(string(p.Reason)), "no reason given")
	}
	return fate
}

// named lists steps by their ids: step 3; steps 3 and 5; steps 2, 4 to 6 and 9.
func named(steps []*record.StepResult) string {
	var ranges []string
	for i := 0; i < len(steps); {
		j := i
		for j+1 < len(steps) && steps[j+1].StepID == steps[j].StepID+1 {
			j++
		}
		switch first, last := fmt.Sprint(steps[i].StepID), fmt.Sprint(steps[j].StepID); j - i {
		case 0:
			ranges = append(ranges, first)
		case 1:
			ranges = append(ranges, first, last)
		default:
			ranges = append(ranges, first+" to "+last)
		}
		i = j + 1
	}
	switch {
	case len(steps) == 1:
		return "step " + ranges[0]
	case len(ranges) > maxNamed:
		return phrase.Count(len(steps), "step")
	default:
		return "steps " + phrase.List(ranges)
	}
}

// LateReplies returns how many replies came after their timeout.
func LateReplies(run record.Run) int {
	late := 0
	for _, step := range run.Steps {
		if step.Late != nil {
			late++
		}
	}
	return late
}

// extras has clauses for interruptions of the client, steps that were tried again, other agents with which
// the run went on, late replies and strays.
func extras(run record.Run) []string {
	clauses := resumed(run)
	if interruption := Interruption(run); interruption != "" {
		clauses = append(clauses, interruption)
	}
	if moved := Moved(run); moved != "" {
		clauses = append(clauses, moved)
	}
	if at := run.WithoutSession(); at != "" && !run.SessionGone() {
		clauses = append(clauses, "the agent at "+logging.Clean(at)+" did not have the session")
	}
	if late := LateReplies(run); late > 0 {
		clauses = append(clauses, phrase.Count(late, "reply")+" came too late")
	}
	if n := run.Unasked(); n > 0 {
		clause := phrase.Count(n, "message") + " from the agent answered no request"
		if run.Dropped > 0 {
			clause += fmt.Sprintf(", of which %d were counted and not kept", run.Dropped)
		}
		clauses = append(clauses, clause)
	}
	return clauses
}
