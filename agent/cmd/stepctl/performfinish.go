package main

import (
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/fleetrun"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// finish prints how the runs have ended, and writes the documents of all boards. The error has the exit
// code.
func (r *boardsRun) finish(results []fleetrun.Result, style report.Style) error {
	var tally report.Tally
	lost, incomplete := false, false
	for i, result := range results {
		tally.Add(report.Board{Name: result.Board.Name, Address: result.Board.Address, Run: result.Run})
		incomplete = incomplete || errors.Is(result.Err, errIncomplete)
		lost = lost || codeOf(result.Err, exitPassed) == exitEvidence && !errors.Is(result.Err, errIncomplete)
		r.print(style, r.parts[i].line)
	}
	r.print(style, tally.Sentence())
	if err := r.writeDocuments(results); err != nil {
		return err
	}
	if err := written(r.written.err); err != nil && !r.flags.json {
		return err
	}
	switch {
	case lost:
		return &exitError{code: exitEvidence} // which was logged
	case tally.Count(report.BoardUnreached) == tally.Total():
		return &exitError{code: exitUnreachable}
	case tally.Count(report.BoardPassed) < tally.Total():
		return &exitError{code: exitFailed}
	case incomplete:
		return &exitError{code: exitEvidence}
	}
	return nil
}

// print prints a line, unless stdout has the events.
func (r *boardsRun) print(style report.Style, line string) {
	if !r.flags.json {
		_, _ = fmt.Fprintln(r.out, style.Wrap(line)) // the stickyWriter below keeps the error
	}
}

// writeDocuments writes the documents of all boards together, one run in memory at a time.
func (r *boardsRun) writeDocuments(results []fleetrun.Result) error {
	var unread error
	boards := func(yield func(report.Board) bool) {
		for i, result := range results {
			run, err := r.parts[i].recorded.run()
			if err != nil {
				unread = fmt.Errorf("%s: %w", result.Board.Name, err)
				return
			}
			if !yield(report.Board{Name: result.Board.Name, Address: result.Board.Address, Run: run}) {
				return
			}
		}
	}
	whole := r.flags.documents.whole()
	return whole.writeAll(boards, func() error { return unread })
}
