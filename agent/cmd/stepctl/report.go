package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// reportFlags is the command line of stepctl report.
type reportFlags struct {
	json        bool
	documents   documents
	agentRecord string
	run         string // id of a run in the database; empty for a file
}

func newReport() *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use:   "report RECORD | --run ID",
		Short: "report the result of a run from its record",
		Long: `report reads a record written by stepctl run --record, or with --run that of a run in the database,
derives the verdict from it again, and prints the table and the sentence of run. Report files (--html,
--junit, --tap, --summary) are the same, byte for byte, as those of run. ID may be shortened to its
unique beginning or end, and "last" is the newest run.

--json changes the output on stdout: one JSON object, the summary, instead of the table. --summary
writes the same object to a file, in addition to the output.

With --agent-record it also reads the agent's record of the session (see [record] in the agent's
config), and says where the time went: client, link, agent queue or validators.
` + settingsHelp + `

Exit codes:
  0  every expected step passed
  1  a step failed, timed out or was not answered, or the record has no end
  2  the record cannot be read or contradicts itself, or the command line is wrong
  3  no agent could be reached
  4  the report could not be written, or every step passed and the record lacks messages of the
     agent that were counted but not kept`,
		Example: `  stepctl report run.jsonl
  stepctl report --json run.jsonl
  stepctl report run.jsonl --html run.html --lang ko
  stepctl report --run last --db runs.db --html run.html
  stepctl report run.jsonl --agent-record /var/lib/stepagent/record`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case flags.run == "":
				return oneFile(cmd, args)
			case len(args) > 0:
				return errors.New("name a record or give --run, not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			flags.documents.lang = html.Language(settings.Lang)
			path := ""
			if flags.run == "" {
				path = args[0]
			}
			return flags.report(cmd, path, settings.Client)
		},
		ValidArgsFunction: completeFiles(1, "jsonl"),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&flags.run, "run", "", "report the run with this `ID` in the database, instead of a record")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print the summary as one JSON object instead of the table")
	flags.documents.register(cmd)
	cmd.Flags().StringVar(&flags.agentRecord, "agent-record", "",
		"join the agent's record, a file or folder at `PATH`, to say where the time went")
	addSettings(cmd, "db")
	completeFlagBy(cmd, "run", completeFromDatabase(0, newestRuns))
	return cmd
}

// report reports the record at path, or without a path the run in the database.
func (f *reportFlags) report(cmd *cobra.Command, path string, settings config.Client) error {
	if err := f.documents.prepare(namedFile{"the record", path}, databaseFile(settings.DB)); err != nil {
		return err
	}
	stdout := cmd.OutOrStdout()
	log, err := f.read(cmd, path)
	if err != nil {
		return err
	}
	run, err := log.Fold()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if err := f.documents.spare(run.Start.Procedure.SHA256); err != nil {
		return err
	}
	split, err := f.join(cmd, run)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	out := bufio.NewWriter(stdout)
	if f.json {
		err = report.Summary(out, run, split)
	} else {
		// A bufio.Writer keeps its first error for Flush.
		style := styleOf(stdout)
		for _, line := range append([]string{report.Heading(run)}, report.Security(run)...) {
			_, _ = fmt.Fprintln(out, style.Wrap(line))
		}
		_ = report.Table(out, run, style)
		_, _ = fmt.Fprintln(out, style.Wrap(report.Sentence(run)))
		if split != nil {
			_, _ = fmt.Fprintln(out, style.Wrap(split.Sentence()))
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err := written(err); err != nil {
		return err
	}
	if err := f.documents.write(run, split); err != nil {
		return err
	}
	return verdictError(run)
}

// read reads the record. Its error has the exit code.
func (f *reportFlags) read(cmd *cobra.Command, path string) (log record.Log, err error) {
	if path == "" {
		err = withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
			log, err = storedRecord(ctx, db, f.run)
			return err
		})
		return log, err
	}
	if log, err = record.ReadFile(path); err != nil {
		return log, &exitError{exitUsage, err}
	}
	if log.Cut {
		// A closed stderr does not prevent the report.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "stepctl: %s:%d: the last line is cut off and does not count\n",
			path, len(log.Events)+1)
	}
	return log, nil
}

// storedRecord returns the record of a run in the database, by its id or a part of that.
func storedRecord(ctx context.Context, db *database.DB, id string) (record.Log, error) {
	if id == "last" { // a load test may be newer
		runs, err := db.Runs(ctx, database.Filter{Kind: database.KindRun, Limit: 1})
		if err != nil {
			return record.Log{}, err
		}
		if len(runs) > 0 {
			id = runs[0].ID
		}
	}
	run, err := db.Run(ctx, id)
	switch {
	case err != nil:
		return record.Log{}, err
	case run.Kind == database.KindLoad:
		return record.Log{}, fmt.Errorf("%s is a load test, which has a result and no record; see stepctl history show %[1]s", run.ID)
	}
	lines, err := db.Record(ctx, run.ID)
	if err != nil {
		return record.Log{}, err
	}
	log, err := record.Read(lines, "run "+run.ID)
	if err == nil && len(log.Events) == 0 {
		err = fmt.Errorf("the run %s has no events yet, or its client was killed before the first was stored", run.ID)
	}
	return log, err
}

// newestRuns returns the ids of the newest runs, for completions.
func newestRuns(ctx context.Context, db *database.DB) ([]string, error) {
	runs, err := db.Runs(ctx, database.Filter{Kind: database.KindRun})
	ids := []string{"last"}
	for _, run := range runs {
		ids = append(ids, fmt.Sprintf("%s\t%s, %s", run.ID, logging.Clean(run.Procedure), run.Verdict))
	}
	return ids, err
}

// join joins the agent's record, if there is one.
func (f *reportFlags) join(cmd *cobra.Command, run record.Run) (*report.Split, error) {
	if f.agentRecord == "" {
		return nil, nil
	}
	found, err := auditlog.ReadSession(f.agentRecord, run.Start.Session)
	if err != nil {
		return nil, err
	}
	for _, name := range found.Torn {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "stepctl: %s: the last line is cut off and does not count\n", name)
	}
	return report.Join(run, found)
}
