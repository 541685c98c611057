package report

import (
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Board is one board of a run on several, with its result.
type Board struct {
	// Name identifies the board. No two boards of a run have the same.
	Name string
	// Address is the agent's host and port.
	Address string
	// Run is the run against the board. If it was not begun, Run has its Start and its steps, none
	// of them run, or it is the zero Run.
	Run record.Run
}

// A BoardResult says how the run against a board ended. The zero value is BoardNotRun.
type BoardResult uint8

// The results of boards.
const (
	// BoardNotRun: the run was not begun, or ended before its first step.
	BoardNotRun BoardResult = iota
	// BoardPassed: the verdict is pass.
	BoardPassed
	// BoardFailed: the verdict is fail, and at least one step was sent.
	BoardFailed
	// BoardUnreached: no step was sent, because no connection or no secure one could be made.
	BoardUnreached
	// BoardUnfinished: the run ended early, and no step of it failed.
	BoardUnfinished
)

// boardResultNames are the names of the results in reports for programs.
var boardResultNames = [...]string{
	BoardNotRun: "not_run", BoardPassed: "passed", BoardFailed: "failed", BoardUnreached: "unreached",
	BoardUnfinished: "unfinished",
}

// BoardResults returns all results, in the order in which reports list them.
func BoardResults() []BoardResult {
	return []BoardResult{BoardPassed, BoardFailed, BoardUnreached, BoardUnfinished, BoardNotRun}
}

// String returns the name of the result in reports for programs.
func (r BoardResult) String() string { return boardResultNames[r] }

// MarshalText returns the result's name.
func (r BoardResult) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Result returns how the run against the board ended. It needs the verdict, the cause and the counts
// of the run, and not its steps.
func (b Board) Result() BoardResult {
	run := b.Run
	begun, sent := false, false
	for outcome, n := range run.Counts {
		begun = begun || n > 0 && outcome != record.NotRun
		sent = sent || n > 0 && outcome != record.NotRun && outcome != record.Unreachable
	}
	switch {
	case run.Verdict == record.Pass:
		return BoardPassed
	case run.Unreached(), run.Refused() && !sent:
		return BoardUnreached
	case run.Verdict == record.Fail:
		return BoardFailed
	case begun:
		return BoardUnfinished
	default:
		return BoardNotRun
	}
}

// Sentence says in one sentence how the run against the board went.
func (b Board) Sentence() string {
	switch b.Result() {
	case BoardFailed:
		return "fail: " + Sentence(b.Run)
	case BoardNotRun:
		return "not run"
	default:
		return Sentence(b.Run)
	}
}

// Line returns the name of the board and its sentence, in one line without a newline.
func (b Board) Line() string { return logging.Clean(b.Name) + ": " + b.Sentence() }
