package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/client/worker"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// workerFlags is the command line of stepctl worker.
type workerFlags struct {
	settings config.Client
	secured  secured
	boards   string
	jobs     int
	once     bool
	name     string
	lease    time.Duration
}

func newWorker(stdout, stderr *os.File) *cobra.Command {
	var flags workerFlags
	cmd := &cobra.Command{
		Use:   "worker --boards FILE",
		Short: "perform the procedures of the queue",
		Long: `worker performs what stepctl queue holds, on the boards of a file: one run at a time on each board, the
boards side by side. What has the highest priority is first, then what is due longest. Several workers
share a queue; each entry is performed by one of them, and one run at a time goes on at a board, over
all of them. Entries for boards that are not in the file are left to other workers.

The boards file has a line for each board, with its name and the address of its agent, host or
host:port. Empty lines, and what follows a #, are ignored. A name or an address twice is an error.

Each run is stored like one of stepctl run --db, and its steps are printed as lines that begin with the
name of the board. A verdict does not change what is performed next: an entry whose run has failed, or
whose board could not be reached, was performed. An entry that cannot be read, or whose procedure does
not exist, is marked as failed in the queue.

A worker leases what it performs for --lease and renews that. If it is killed, another worker takes the
entry up when the lease has ended: as a further attempt, with a run of its own; the first run is marked
as interrupted. A worker that was stopped for longer sends nothing more to the board, interrupts its
run and says so. If the database fails during a run, the run goes on.

Ctrl-C or SIGTERM interrupts the present runs, whose entries go back to the queue at once; a second
signal ends the program.
` + tlsHelp + `
The files are read again for each run. --server-name then counts for all boards.
` + databaseHelp + `

Exit codes:
  0  the worker was told to stop; with --once, every run passed or nothing was due
  1  with --once, a run did not pass
  2  the command line, a setting or the boards file is wrong
  3  with --once, no agent could be reached in any run, or each connection over TLS was refused
  4  the queue could not be read, or some of a run could not be stored`,
		Example: `  stepctl worker --db runs.db --boards lab.txt
  stepctl worker --db postgres://lab@db/stepctl --boards lab.txt --jobs 4
  stepctl queue add door --board bench-7 && stepctl worker --boards lab.txt --once`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			flags.settings = settings.Client
			list, err := flags.load()
			if err != nil {
				return err
			}
			if flags.secured, err = openTLS(cmd, settings.Client); err != nil {
				return err
			}
			defer flags.secured.close()
			return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
				return flags.work(ctx, db, list, stdout, stderr)
			})
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *workerFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.boards, "boards", "", "`FILE` with the names and addresses of the boards; required")
	set.IntVar(&f.jobs, "jobs", 0, "largest `NUMBER` of runs at the same time, 0 for one on each board")
	set.BoolVar(&f.once, "once", false, "perform what is due now, and end")
	set.StringVar(&f.name, "name", "", "`NAME` of the worker in the queue (default: the machine and the process id)")
	set.DurationVar(&f.lease, "lease", queue.DefaultLease, "`DURATION` after which another worker takes up what a killed one performed; the same for all workers")
	addSettings(cmd, append([]string{"db", "timeout", "max-strays", "log-format"}, tlsFlags()...)...)
	completeFlag(cmd, "log-format", []string{"auto", "tint", "text", "json"})
}

// Limits of --lease: below, a busy disk loses leases; above, a killed worker is noticed too late.
const (
	minLease = time.Second
	maxLease = time.Hour
)

// load checks the flags and reads the boards file.
func (f *workerFlags) load() ([]boards.Board, error) {
	switch {
	case f.boards == "":
		return nil, errors.New("name the boards file with --boards")
	case f.lease < minLease || f.lease > maxLease:
		return nil, fmt.Errorf("--lease is %s; give a duration from %s to %s", f.lease, minLease, maxLease)
	}
	if err := checkJobs(f.jobs); err != nil {
		return nil, err
	}
	if f.name == "" {
		f.name = fmt.Sprintf("%s:%d", hostName(), os.Getpid())
	}
	if err := database.CheckName("worker", f.name); err != nil {
		return nil, err
	}
	list, err := boards.Load(f.boards)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return list, nil
}

// work performs the queue until ctx ends, or once.
func (f *workerFlags) work(ctx context.Context, db *database.DB, list []boards.Board, stdout, stderr *os.File) error {
	logger, err := logging.New(stderr, logging.Options{Format: f.settings.LogFormat})
	if err != nil {
		return err
	}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	wake, err := db.Listen(listening, database.QueueChannel)
	if err != nil {
		return err
	}
	f.secured.warn(logger)
	p := &performer{db: db, settings: f.settings, secured: &f.secured, worker: f.name, logger: logger, out: lockedWriter{to: stdout}}
	options := worker.Options{
		Store: queue.New(db, f.lease), Name: f.name, Boards: list, Jobs: f.jobs, Perform: p.perform, Wake: wake, Logger: logger,
	}
	if f.once {
		if options.Until, err = db.Now(ctx); err != nil {
			return err
		}
	}
	logger.Info("the worker performs the queue", slog.String("worker", f.name), slog.String("db", db.Name()),
		slog.String("boards", phrase.Count(len(list), "board")))
	if err := worker.Run(ctx, options); err != nil {
		return err
	}
	if f.once && ctx.Err() == nil {
		return p.verdict()
	}
	return p.loss()
}
