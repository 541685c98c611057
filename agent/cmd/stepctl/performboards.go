package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/fleetrun"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// boardsRun performs a procedure against several boards.
type boardsRun struct {
	flags     *runFlags
	procedure stepfile.Procedure
	db        *database.DB // nil for none
	meta      database.Meta
	logger    *slog.Logger
	out       *lockedWriter // stdout
	written   *stickyWriter // below out
	view      boardsView
	parts     []boardPart // by the index of the board
	spools    string      // folder; empty for no documents
	ids       idSource
}

// A boardPart is what the run against one board begins with and leaves.
type boardPart struct {
	flags    runFlags
	opts     runner.Options
	evidence []*record.Writer
	recorded *spooledRun // nil for no documents
	line     string      // how the run has ended
}

// performBoards runs the procedure against the boards. db is nil for no database.
func (f *runFlags) performBoards(ctx context.Context, procedure stepfile.Procedure, db *database.DB, meta database.Meta,
	stdout, stderr *os.File) (err error) {
	written := &stickyWriter{to: stdout}
	r := &boardsRun{flags: f, procedure: procedure, db: db, meta: meta, written: written, out: &lockedWriter{to: written}}
	defer r.removeSpools()
	if err = r.prepare(); err == nil {
		r.logger, err = f.logger(stderr)
	}
	if err != nil {
		return err
	}
	switch {
	case f.json:
		r.view = boardsLines{lines{io.Discard}, f.boards.list} // stdout has the events
	case isTerminal(stdout):
		r.view = newBoardsProgress(r.out, f.boards.list, func() (width, height int) { return terminalSize(stdout) }, !isTerminal(stderr))
	default:
		r.view = boardsLines{lines{r.out}, f.boards.list}
	}
	results := fleetrun.Run(ctx, fleetrun.Options{
		Boards: f.boards.list, Jobs: f.boards.jobs, FailFast: f.boards.failFast, Perform: r.perform,
		OnStop: func(by boards.Board) {
			r.view.suspend(func() { r.logger.Warn("the other boards are stopped, because one cannot pass", "board", by.Name) })
		},
	})
	r.view.end()
	return r.finish(results, styleOf(stdout))
}

// prepare checks the files of all boards and creates the records, before anything is sent to any of them.
func (r *boardsRun) prepare() (err error) {
	f := r.flags
	r.parts = make([]boardPart, len(f.boards.list))
	checked := f.documents.whole()
	files := []namedFile{{"the step file", f.file}, {"the boards file", f.boards.file}, {"--keylog", f.secured.keylogPath()}, databaseFile(f.settings.DB)}
	for i, board := range f.boards.list {
		part := &r.parts[i]
		if part.flags, err = f.at(board); err == nil {
			part.opts, err = part.flags.options()
		}
		if err != nil {
			return err
		}
		checked.all = append(checked.all, part.flags.documents.all...)
		files = append(files, namedFile{"--record", part.flags.record}, namedFile{"--pcap", part.flags.pcap})
	}
	if err := checked.prepare(files...); err != nil {
		return err
	}
	if err := checked.spare(r.procedure.SHA256); err != nil {
		return err
	}
	if len(checked.all) > 0 {
		if r.spools, err = os.MkdirTemp("", "stepctl-"); err != nil {
			return &exitError{exitEvidence, fmt.Errorf("cannot keep the runs until the reports are written: %w", err)}
		}
	}
	for i := range r.parts {
		if err := r.create(i); err != nil {
			for _, part := range r.parts[:i] {
				for _, writer := range part.evidence {
					_ = writer.Close() // nothing was written
				}
			}
			return &exitError{exitEvidence, err}
		}
	}
	return nil
}

// create creates the record of the board at an index, and what else gets the events.
func (r *boardsRun) create(index int) error {
	part := &r.parts[index]
	if path := part.flags.record; path != "" {
		file, err := record.Create(path)
		if err != nil {
			return err
		}
		part.evidence = append(part.evidence, file)
	}
	if r.flags.json {
		to := boardEvents{member: `{"board":"` + r.flags.boards.list[index].Name + `",`, to: r.out}
		part.evidence = append(part.evidence, record.NewWriter(to))
	}
	if r.spools != "" {
		part.recorded = &spooledRun{path: filepath.Join(r.spools, strconv.Itoa(index)+".jsonl")}
		part.evidence = append(part.evidence, record.NewWriter(part.recorded))
	}
	return nil
}

func (r *boardsRun) removeSpools() {
	if r.spools != "" {
		_ = os.RemoveAll(r.spools) // what is left is in the system's folder for temporary files
	}
}

// perform performs the procedure against a board, see fleetrun.Options.
func (r *boardsRun) perform(ctx context.Context, board *fleetrun.Part) (record.Run, error) {
	part := &r.parts[board.Index]
	e := &execution{logger: r.logger.With("board", board.Name), view: r.view.of(board.Index), evidence: part.evidence,
		documents: part.flags.documents, failed: board.CannotPass}
	if part.recorded != nil {
		e.recorded = part.recorded
		defer part.recorded.close()
	}
	opts := part.opts
	lost := r.open(ctx, e, &part.flags, &opts)
	switch {
	case ctx.Err() != nil:
		lost = nil // it was stopped
	case lost != nil:
		// Nothing is sent, and the record says that the run was not begun.
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		stop()
	}
	err := e.run(ctx, r.procedure, opts)
	if lost != nil {
		err = lost
	}
	run := e.live.Run()
	part.line = report.Board{Name: board.Name, Address: board.Address, Run: run}.Line()
	part.evidence = nil
	return run, e.logLoss(err)
}

// open opens the evidence of a run that begins. A run that was stopped before it began has none but its
// record.
func (r *boardsRun) open(ctx context.Context, e *execution, flags *runFlags, opts *runner.Options) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if flags.pcap != "" {
		if e.capture, err = startCapture(ctx, flags.pcap, flags.settings, r.procedure); err != nil {
			return err
		}
		opts.Dial = e.capture.Dial
	}
	if r.db == nil {
		return nil
	}
	meta := r.meta
	meta.Board = flags.store.board
	if meta.Started, err = r.db.Now(ctx); err == nil {
		meta.ID = r.ids.next(meta.Started)
		err = e.store(ctx, r.db, meta)
	}
	if err != nil {
		return &exitError{exitEvidence, err}
	}
	return nil
}
