// Package fleetrun performs one procedure against many boards at the same time. It decides when the run
// against each board begins and when it is stopped; the caller says how one run is performed. A run that
// has ended takes no memory that grows with its procedure.
package fleetrun

import (
	"context"
	"fmt"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Options configure Run.
type Options struct {
	// Boards are those to perform against, each once.
	Boards []boards.Board
	// Jobs limits how many runs go on at the same time; 0 is one for each board.
	Jobs int
	// FailFast stops the other runs as soon as one cannot pass. That one goes on to its end.
	FailFast bool
	// Perform performs the procedure against a board and returns the result. An error says what is lost
	// besides the verdict, such as evidence. Calls overlap. ctx ends when the run is to be stopped. A board
	// that was stopped before its run began gets a call too, with a ctx that has ended, so that it has
	// evidence like the others.
	Perform func(ctx context.Context, part *Part) (record.Run, error)
	// OnStop is called with the board whose run cannot pass, before FailFast stops the others; at most
	// once. nil means no call.
	OnStop func(by boards.Board)
}

// A Part is the run against one board.
type Part struct {
	boards.Board
	// Index is the place of the board in Options.Boards, from 0.
	Index int

	fail func()
}

// CannotPass says that the run cannot pass any more, while it goes on. It does not wait, may be called
// again, and is safe for concurrent use.
func (p *Part) CannotPass() { p.fail() }

// A Result is how the run against a board has ended.
type Result struct {
	Board boards.Board
	// Run is the result that Perform returned, without its steps and strays.
	Run record.Run
	// Err is the error that Perform returned.
	Err error
}

// A StoppedError is the cause of the end of a context of Perform: the run of another board cannot pass.
type StoppedError struct{ By boards.Board }

func (e *StoppedError) Error() string {
	return fmt.Sprintf("stopped, because %s cannot pass", e.By.Name)
}

// Run performs the procedure against all boards and returns the results in the order of Options.Boards.
// Runs begin in that order. When ctx ends, all runs are stopped.
func Run(ctx context.Context, o Options) []Result {
	r := &running{Options: o, results: make([]Result, len(o.Boards)), stops: make([]context.CancelCauseFunc, len(o.Boards))}
	contexts := make([]context.Context, len(o.Boards))
	for i := range contexts {
		contexts[i], r.stops[i] = context.WithCancelCause(ctx)
		defer r.stops[i](nil)
	}
	if o.Jobs <= 0 {
		o.Jobs = max(len(o.Boards), 1)
	}
	slots := make(chan struct{}, o.Jobs)
	var jobs sync.WaitGroup
	for i := range o.Boards {
		slots <- struct{}{}
		jobs.Go(func() {
			defer func() { <-slots }()
			r.perform(contexts[i], i)
		})
	}
	jobs.Wait()
	return r.results
}

// running are the runs against all boards. Each element of results belongs to the goroutine of its board.
type running struct {
	Options
	results []Result
	stops   []context.CancelCauseFunc // of the contexts
	failed  sync.Once                 // the first run that cannot pass stops the others
}

// perform performs the procedure against the board at the index.
func (r *running) perform(ctx context.Context, index int) {
	part := &Part{Board: r.Boards[index], Index: index, fail: func() { r.stopOthers(index) }}
	run, err := r.Perform(ctx, part)
	if run.Verdict != record.Pass && ctx.Err() == nil {
		r.stopOthers(index)
	}
	run.Steps, run.Strays, run.Start.Procedure.Steps = nil, nil, nil
	r.results[index] = Result{Board: part.Board, Run: run, Err: err}
}

// stopOthers stops all runs but the one at the index, which cannot pass.
func (r *running) stopOthers(index int) {
	if !r.FailFast {
		return
	}
	r.failed.Do(func() {
		if r.OnStop != nil {
			r.OnStop(r.Boards[index])
		}
		for i, stop := range r.stops {
			if i != index {
				stop(&StoppedError{By: r.Boards[index]})
			}
		}
	})
}
