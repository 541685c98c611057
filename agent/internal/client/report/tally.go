package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Tally counts boards by their results and keeps no more of them than their names. The zero value
// has counted none.
type Tally struct {
	total int
	names [BoardUnfinished + 1][]string
	// started and ended are the times of the first start and of the last end; zero if no run was begun.
	started, ended time.Time
}

// Add counts a board.
func (t *Tally) Add(b Board) {
	result := b.Result()
	t.total++
	t.names[result] = append(t.names[result], logging.Clean(b.Name))
	start := b.Run.Start.Time
	if result == BoardNotRun || start.IsZero() {
		return
	}
	if t.started.IsZero() || start.Before(t.started) {
		t.started = start
	}
	if end := start.Add(b.Run.Duration); end.After(t.ended) {
		t.ended = end
	}
}

// Total returns how many boards were counted.
func (t *Tally) Total() int { return t.total }

// Count returns how many boards have a result.
func (t *Tally) Count(result BoardResult) int { return len(t.names[result]) }

// Started returns when the first run started; the zero time if none was begun.
func (t *Tally) Started() time.Time { return t.started }

// Duration returns the time from the first start to the last end, by the client's clock at each start.
func (t *Tally) Duration() time.Duration { return t.ended.Sub(t.started) }

// Verdict returns the verdict of all boards: fail if one failed or was not reached, and pass only if
// every board passed.
func (t *Tally) Verdict() record.Verdict {
	switch {
	case t.Count(BoardFailed)+t.Count(BoardUnreached) > 0:
		return record.Fail
	case t.total > 0 && t.Count(BoardPassed) == t.total:
		return record.Pass
	default:
		return record.Undecided
	}
}

// Sentence says in one sentence how the run went on all boards, and names those that did not pass.
func (t *Tally) Sentence() string {
	passed, unreached := t.Count(BoardPassed), t.Count(BoardUnreached)
	switch {
	case t.total == 0:
		return "nothing was run"
	case passed == 1 && t.total == 1:
		return "pass: the only board passed"
	case passed == t.total:
		return fmt.Sprintf("pass: all %d boards passed", t.total)
	case unreached == t.total && t.total > 1:
		return fmt.Sprintf("fail: none of %d boards was reached%s", t.total, t.named(BoardUnreached))
	}
	var clauses []string
	for _, result := range BoardResults() {
		n := t.Count(result)
		if n == 0 || result == BoardPassed {
			continue
		}
		subject := fmt.Sprint(n)
		if clauses == nil {
			subject += " of " + phrase.Count(t.total, "board")
		}
		clauses = append(clauses, subject+" "+boardFate(result, n)+t.named(result))
	}
	first := "no verdict: "
	if t.Verdict() == record.Fail {
		first = "fail: "
	}
	return first + strings.Join(clauses, ", ")
}

// boardFate says what happened to n boards that did not pass.
func boardFate(result BoardResult, n int) string {
	verb := "were"
	if n == 1 {
		verb = "was"
	}
	switch result {
	case BoardFailed:
		return "failed"
	case BoardUnreached:
		return verb + " not reached"
	case BoardUnfinished:
		return "did not finish"
	default:
		return verb + " not run"
	}
}

// named lists the boards that have a result in parentheses, maxNamed of them at most.
func (t *Tally) named(result BoardResult) string {
	names := t.names[result]
	if rest := len(names) - maxNamed; rest > 0 {
		return fmt.Sprintf(" (%s and %d more)", strings.Join(names[:maxNamed], ", "), rest)
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// SentenceAll says in one sentence how a run went on all boards. It needs of the boards what
// Tally.Add does: name, verdict, cause, counts, start and duration.
func SentenceAll(boards []Board) string {
	var t Tally
	for _, b := range boards {
		t.Add(b)
	}
	return t.Sentence()
}
