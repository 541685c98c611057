package report

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// MaxMoves is how many agents with which a run went on are named; of more, only the last is.
const MaxMoves = 3

// Moved says in one clause with which other agents a run went on, and from which step; empty for none.
func Moved(run record.Run) string {
	moves := run.Moves()
	if n := len(moves); n > MaxMoves {
		return fmt.Sprintf("moved to another agent %d times, and went on %s", n, from(run, moves[n-1]))
	}
	var parts []string
	verb := "went on "
	for _, m := range moves {
		if m.Index == 1 {
			parts = append(parts, "began at "+logging.Clean(m.Address))
			continue
		}
		parts = append(parts, verb+from(run, m))
		verb = ""
	}
	return phrase.List(parts)
}

// from says where a run went on, and from which step.
func from(run record.Run, m record.Move) string {
	return fmt.Sprintf("at %s from step %d", logging.Clean(m.Address), run.Steps[m.Index-1].StepID)
}

// Agents names the addresses that a run was given, safe to print.
func Agents(run record.Run) string {
	if len(run.Start.Addresses) == 0 {
		return logging.Clean(run.Start.Address)
	}
	return logging.Clean(phrase.List(run.Start.Addresses))
}

// to says to which agent a step was sent again; empty for the one of the start.
func to(step record.StepResult) string { return phrase.After(" to ", logging.Clean(step.Address)) }

// A move is a record.Move in the summary.
type move struct {
	Index   int    `json:"index"`
	StepID  int64  `json:"step_id"`
	Address string `json:"address"`
}

func movesOf(run record.Run) []move {
	var moves []move
	for _, m := range run.Moves() {
		moves = append(moves, move{m.Index, run.Steps[m.Index-1].StepID, m.Address})
	}
	return moves
}
