package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// maxNamed is how many steps, or runs of steps, one clause names; more are only counted.
const maxNamed = 6

// maxWays is how many ways in which steps did not pass the sentence tells apart: an agent may
// give each step a reason of its own.
const maxWays = 8

// Heading says in one line which run it was: what, against whom, when.
func Heading(run record.Run) string {
	return fmt.Sprintf("%s against %s at %s", logging.Clean(run.Start.Procedure.Name), logging.Clean(run.Start.Address),
		run.Start.Time.Format("2006-01-02 15:04:05 -07:00"))
}

// Sentence says in one sentence what a run came to.
func Sentence(run record.Run) string {
	total := len(run.Steps)
	if run.Unreached() {
		return fmt.Sprintf("no agent could be reached at %s; nothing was sent", logging.Clean(run.Start.Address))
	}
	clauses := []string{fmt.Sprintf("%d of %s passed", run.Counts[record.Passed], count(total, "step", "steps"))}
	if run.Verdict == record.Pass {
		clauses = []string{fmt.Sprintf("pass: all %d steps were answered in order and in time", total)}
		if total == 1 {
			clauses = []string{"pass: the only step was answered in order and in time"}
		}
	}
	switch {
	case total == 0:
		clauses = []string{"nothing was run"}
	case run.Cut():
		clauses[0] = "the record ends before the run did: " + clauses[0]
	case run.Cause == record.Interrupted:
		clauses[0] = "interrupted: " + clauses[0]
	}
	clauses = append(clauses, failures(run.Steps)...)
	clauses = append(clauses, extras(run)...)
	return strings.Join(clauses, "; ")
}

// failures has one clause for each way in which steps did not pass, in the order in which
// they came up.
func failures(steps []record.StepResult) []string {
	var order []string
	ids := map[string][]int64{}
	others := 0
	for _, step := range steps {
		if step.Outcome == record.Passed {
			continue
		}
		what := fate(step)
		if ids[what] == nil {
			if len(order) == maxWays {
				others++
				continue
			}
			order = append(order, what)
		}
		ids[what] = append(ids[what], step.StepID)
	}
	var clauses []string
	for _, what := range order {
		verb := " were "
		if len(ids[what]) == 1 {
			verb = " was "
		}
		clauses = append(clauses, named(ids[what])+verb+what)
	}
	if others > 0 {
		clauses = append(clauses, count(others, "more step", "more steps")+" did not pass for other reasons")
	}
	return clauses
}

// fate says what happened to a step, after the words was and were.
func fate(step record.StepResult) string {
	switch step.Outcome {
	case record.Failed:
		return "refused: " + cmp.Or(logging.Clean(string(step.Reason)), "no reason given")
	case record.TimedOut:
		return "not answered in time"
	case record.ConnectionLost:
		return "cut off: the connection was lost"
	case record.WrongReply:
		return "answered with something else"
	case record.Unreachable:
		return "not sent: no connection"
	case record.Unanswered:
		return "sent, and interrupted before a reply came"
	default:
		return "not run"
	}
}

// named lists steps by their ids: step 3; steps 3 and 5; steps 2, 4 to 6 and 9.
func named(ids []int64) string {
	var runs []string
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1] == ids[j]+1 {
			j++
		}
		switch first, last := strconv.FormatInt(ids[i], 10), strconv.FormatInt(ids[j], 10); j - i {
		case 0:
			runs = append(runs, first)
		case 1:
			runs = append(runs, first, last)
		default:
			runs = append(runs, first+" to "+last)
		}
		i = j + 1
	}
	switch n := len(runs); {
	case len(ids) == 1:
		return "step " + runs[0]
	case n > maxNamed:
		return count(len(ids), "step", "steps")
	case n == 1:
		return "steps " + runs[0]
	default:
		return "steps " + strings.Join(runs[:n-1], ", ") + " and " + runs[n-1]
	}
}

// extras tells what came besides the replies that were waited for.
func extras(run record.Run) []string {
	late := 0
	for _, step := range run.Steps {
		if step.Late != nil {
			late++
		}
	}
	var clauses []string
	if late > 0 {
		clauses = append(clauses, count(late, "reply", "replies")+" came too late")
	}
	if n := run.Unasked(); n > 0 {
		clause := count(n, "message", "messages") + " from the agent answered nothing"
		if run.Dropped > 0 {
			clause += fmt.Sprintf(", of which %d were counted and not kept", run.Dropped)
		}
		clauses = append(clauses, clause)
	}
	return clauses
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
