package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/collect"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// collectFlags is the command line of stepctl collect.
type collectFlags struct {
	settings config.Client
	consumer string
	once     bool
	create   bool
	limits   streamFlags
}

func newCollect(stderr *os.File) *cobra.Command {
	var flags collectFlags
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "store what the agents of a fleet have judged in a database",
		Long: `collect takes the results of a fleet from NATS and stores them in a database: the events of the
records of its agents, whose config has [fleet] results. Each event is stored once, however often it is
sent or delivered: a message is acknowledged when its events are in the database, and one that comes
again is found by its id. stepctl db steps and db sessions show what was stored.

Results wait in the stream STEPAGENT_FLEET while collect does not run, and on the boards while the
stream is full or NATS is away. --create creates the stream, or gives the one that is there the limits
that are named. A message leaves the stream when it is collected; with --keep it stays until it is
older than --max-age, for other programs or for a second database. A stream of three replicas needs
three servers.

collect follows the stream until Ctrl-C or SIGTERM. It tells at a terminal, or each minute in the log,
how many messages it is behind, and how old the oldest of them is. While NATS or the database is away
it tries again. Several processes may collect into one database: with the same --consumer they share
the messages. A second database needs a consumer of its own, and a stream with --keep.

A message that cannot be read is put aside in the table agent_rejects, with the reason.
` + natsHelp + `
` + databaseHelp + `

Exit codes:
  0  it was told to stop; with --once, everything that was in the stream is in the database
  1  with --once, a message was put aside
  2  the command line or a setting is wrong, or the stream cannot be collected
  3  with --once or --create, NATS could not be reached within --timeout
  4  the database could not store the events`,
		Example: `  stepctl collect --db runs.db --nats-url nats://nats-1.lan:4222 --create --max-bytes 2G
  stepctl collect --db postgres://lab@db/stepctl --fleet lab
  stepctl collect --db runs.db --once && stepctl db steps --db runs.db --since 1h`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd, stderr) },
	}
	flags.register(cmd)
	return cmd
}

func (f *collectFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVar(&f.once, "once", false, "end when everything that is in the stream is in the database")
	set.StringVar(&f.consumer, "consumer", "stepctl", "`NAME` of the durable consumer, of which NATS knows what was collected")
	set.BoolVar(&f.create, "create", false, "create the stream if it is missing, or change its limits to those that are named")
	f.limits.register(cmd)
	addSettings(cmd, append([]string{"db", "timeout", "log-format"}, natsFlags()...)...)
	completeFlag(cmd, "log-format", []string{"auto", "tint", "text", "json"})
}

// run opens NATS and the database, and collects.
func (f *collectFlags) run(cmd *cobra.Command, stderr *os.File) error {
	loaded, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	f.settings = loaded.Client
	if err := f.limits.check(cmd, f.create); err != nil {
		return err
	}
	if !config.IsFleetName(f.consumer) {
		return fmt.Errorf("--consumer is %q; write up to 64 of A-Z, a-z, 0-9, - and _", f.consumer)
	}
	view, err := newCollectView(stderr, f.settings.LogFormat)
	if err != nil {
		return err
	}
	conn, err := openNATS(f.settings, view.log)
	if err != nil {
		return err
	}
	defer conn.Close()
	return withDatabase(cmd, storing, func(ctx context.Context, db *database.DB) error {
		return f.collect(ctx, cmd, conn, db, view)
	})
}

// collect creates the stream, if that is wanted, and collects.
func (f *collectFlags) collect(ctx context.Context, cmd *cobra.Command, conn *natsconn.Conn, db *database.DB, view *collectView) error {
	stream, patience := fleet.Stream(f.settings.Fleet), f.settings.Timeout.Duration()
	if f.create {
		creating, cancel := context.WithTimeout(ctx, patience)
		created, err := collect.Create(creating, conn, f.settings.Fleet, f.limits.named(cmd))
		cancel()
		if err != nil {
			return collectError(err)
		}
		if created {
			view.log.Info("the stream is created", slog.String("stream", stream))
		}
	}
	view.log.Info("the results of the fleet are collected", slog.String("fleet", f.settings.Fleet), slog.String("stream", stream),
		slog.String("consumer", f.consumer), slog.String("db", db.Name()))
	view.connected = conn.Connected
	done, err := collect.Run(ctx, collect.Options{
		Conn: conn, Store: db, Fleet: f.settings.Fleet, Consumer: f.consumer, Once: f.once, Patience: patience,
		Log: view.log, Tell: view.tell,
	})
	view.end()
	_, printed := fmt.Fprintln(cmd.OutOrStdout(), collectedText(done))
	switch {
	case err != nil:
		return errors.Join(collectError(err), written(printed))
	case printed != nil:
		return written(printed)
	case f.once && done.Rejected > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

// collectError gives an error of package collect its exit code; one of the database has that of storing.
func collectError(err error) error {
	var stream *collect.StreamError
	switch {
	case errors.As(err, &stream):
		return &exitError{exitUsage, err}
	case errors.Is(err, collect.ErrAway):
		return &exitError{exitUnreachable, fmt.Errorf("cannot collect: %w", err)}
	}
	return err
}

// streamFlags are the limits of a stream on the command line.
type streamFlags struct {
	maxBytes int64
	maxAge   time.Duration
	replicas int
	keep     bool
}

func (f *streamFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.Func("max-bytes", "with --create, `SIZE` of the stream; a full one refuses results, which wait on the boards (default 1G)", setSize(&f.maxBytes))
	set.Func("max-age", "with --create, `AGE` at which a message leaves the stream, collected or not (default: never)", setAge(&f.maxAge))
	set.IntVar(&f.replicas, "replicas", 1, "with --create, `NUMBER` of servers that have the stream: 1, 3 or 5")
	set.BoolVar(&f.keep, "keep", false, "with --create, keep messages that were collected, until --max-age")
}

// check refuses limits that no stream can have. The error is one of the command line.
func (f *streamFlags) check(cmd *cobra.Command, create bool) error {
	for _, name := range []string{"max-bytes", "max-age", "replicas", "keep"} {
		if cmd.Flags().Changed(name) && !create {
			return fmt.Errorf("--%s is a limit of the stream; add --create to set it", name)
		}
	}
	switch {
	case f.replicas != 1 && f.replicas != 3 && f.replicas != 5:
		return fmt.Errorf("--replicas is %d; give 1, 3 or 5", f.replicas)
	case f.keep && f.maxAge == 0:
		return errors.New("a stream with --keep is full sooner or later; give --max-age as well")
	}
	return nil
}

// named returns the limits that are on the command line.
func (f *streamFlags) named(cmd *cobra.Command) collect.Limits {
	var l collect.Limits
	if cmd.Flags().Changed("max-bytes") {
		l.MaxBytes = &f.maxBytes
	}
	if cmd.Flags().Changed("max-age") {
		l.MaxAge = &f.maxAge
	}
	if cmd.Flags().Changed("replicas") {
		l.Replicas = &f.replicas
	}
	if cmd.Flags().Changed("keep") {
		l.Keep = &f.keep
	}
	return l
}
