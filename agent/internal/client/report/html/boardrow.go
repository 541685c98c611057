package html

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

const (
	// maxRowProblems is how many problems the row of a board shows.
	maxRowProblems = 3
	// maxRowSteps is how many steps of a problem the row of a board names.
	maxRowSteps = 8
)

// A boardRow shows one board. It holds no step of its run, so that many rows need little memory.
type boardRow struct {
	Index               int // from 1
	Name, Address, Link string
	Result              report.BoardResult
	Class, Symbol, Word string
	Sentence            string
	Notes               []string // sentences on interruptions, late replies and strays
	Problems            []rowProblem
	Detail, Quote       string // why the board was not reached, translated or as it was received
	Long                bool   // steps are named by their numbers, as on the board's page
	Strip               strip
	Passed, Steps       int
	Replied             bool // there is a median response time
	Median, Duration    time.Duration
}

// A rowProblem is one way in which steps of a board did not pass.
type rowProblem struct {
	Class, Reason, Sentence string
	Steps                   []rowStep // those that are named
	More                    string    // how many more there are; empty for none
}

// A rowStep is a step that the row of a board names.
type rowStep struct {
	Index  int
	Label  int64 // its step id or, where Long, its number
	Linked bool  // the board's page has a row for it
}

func newBoardRow(w *words, index int, b report.Board) boardRow {
	run, result := b.Run, b.Result()
	r := boardRow{
		Index: index, Name: logging.Clean(b.Name), Address: logging.Clean(b.Address), Result: result,
		Word: w.Boards.Results[result], Sentence: w.rowSentence(run), Long: len(run.Steps) > maxRows,
		Strip: newStrip(w, run.Steps), Passed: run.Counts[record.Passed], Steps: len(run.Steps), Duration: run.Duration,
	}
	r.Class, r.Symbol = lookOfBoard(result)
	switch result {
	case report.BoardNotRun:
		r.Sentence = w.Boards.NotBegun
		return r
	case report.BoardUnreached:
		if len(run.Steps) > 0 {
			r.Detail, r.Quote = w.translateOrQuote(run.Steps[0].Detail)
		}
	default:
		if took := responses(run.Steps); len(took) > 0 {
			r.Replied, r.Median = true, took[len(took)/2]
		}
	}
	r.Problems = rowProblems(w, run)
	if interruption := w.interruption(run); interruption != "" {
		r.Notes = []string{interruption}
	}
	r.Notes = slices.Concat(r.Notes, resumed(w, run), extras(w, run))
	return r
}

// rowSentence says how the run against a board went, in fewer words than sentence if it finished.
func (w *words) rowSentence(run record.Run) string {
	total, passed := len(run.Steps), run.Counts[record.Passed]
	switch {
	case run.Cause != record.Finished || total < 2:
		return w.sentence(run)
	case run.Verdict == record.Pass:
		return fmt.Sprintf(w.Boards.RowPass, total)
	default:
		return fmt.Sprintf(w.Boards.RowFail, total-passed, total)
	}
}

// rowProblems returns the ways in which steps did not pass. That steps were not run is one only if there
// is no other.
func rowProblems(w *words, run record.Run) []rowProblem {
	var all []rowProblem
	found, _ := report.Problems(run.Steps, maxProblems)
	for _, f := range found {
		if len(found) > 1 && f.Outcome == record.NotRun {
			continue
		}
		p := newProblem(w, f, maxRowSteps)
		r := rowProblem{Class: p.Class, Reason: p.Reason, Sentence: p.Sentence, More: p.More}
		for _, s := range p.Steps {
			step := rowStep{s.Index, s.StepID, true}
			if len(run.Steps) > maxRows {
				step.Label, step.Linked = int64(s.Index), s.Outcome != record.NotRun
			}
			r.Steps = append(r.Steps, step)
		}
		all = append(all, r)
	}
	return all
}

// Shown returns the problems that the row shows.
func (r *boardRow) Shown() []rowProblem {
	if r.Result == report.BoardUnreached {
		return nil // its sentence says it
	}
	return r.Problems[:min(len(r.Problems), maxRowProblems)]
}

// Hidden returns how many more problems there are.
func (r *boardRow) Hidden() int { return max(len(r.Problems)-maxRowProblems, 0) }
