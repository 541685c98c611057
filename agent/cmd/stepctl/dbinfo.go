package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newDBInfo() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "show the place, size and content of the database",
		Long: `info shows which database is used, its engine and schema, its size, how much is stored in it, and
the files with events that wait for it, which db sync takes in.
` + databaseHelp,
		Example: `  stepctl db info --db runs.db
  stepctl db info --json | jq .runs`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(cmd, inspecting, func(ctx context.Context, db *database.DB) error {
				info, err := db.Info(ctx)
				if err != nil {
					return err
				}
				shown := shownInfo(db, info)
				if asJSON {
					return written(writeJSON(cmd.OutOrStdout(), shown))
				}
				return written(shown.write(cmd.OutOrStdout()))
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	addDatabase(cmd)
	return cmd
}

// An infoView is what db info shows.
type infoView struct {
	Place       string    `json:"place"`
	Engine      string    `json:"engine"`
	Version     string    `json:"engine_version"`
	Schema      int64     `json:"schema"`
	Bytes       int64     `json:"bytes"`
	Procedures  int64     `json:"procedures"`
	Versions    int64     `json:"versions"`
	Runs        int64     `json:"runs"`
	Running     int64     `json:"running"`
	Interrupted int64     `json:"interrupted"`
	Steps       int64     `json:"step_results"`
	Baselines   int64     `json:"baselines"`
	AgentEvents int64     `json:"agent_events"`
	AgentBoards int64     `json:"agent_boards"`
	Rejects     int64     `json:"agent_rejects"`
	First       time.Time `json:"first_run,omitzero"`
	Last        time.Time `json:"last_run,omitzero"`
	// Waiting are the files of this user with events that wait for the database.
	Waiting []string `json:"waiting"`
}

func shownInfo(db *database.DB, i database.Info) infoView {
	return infoView{Place: db.Name(), Engine: string(db.Engine()), Version: i.EngineVersion, Schema: i.Schema, Bytes: i.Bytes,
		Procedures: i.Procedures, Versions: i.Versions, Runs: i.Runs, Running: i.Running, Interrupted: i.Interrupted,
		Steps: i.StepResults, Baselines: i.Baselines, AgentEvents: i.AgentEvents, AgentBoards: i.AgentBoards, Rejects: i.Rejects, First: i.First, Last: i.Last, Waiting: waitingFiles(db)}
}

// waitingFiles returns the files with events that wait for the database. One that cannot be read is not
// among them; db sync reports it.
func waitingFiles(db *database.DB) []string {
	waiting := []string{} // [] rather than null in JSON
	folder, err := spool.Folder()
	if err != nil {
		return waiting
	}
	paths, err := spool.List(folder)
	if err != nil {
		return waiting
	}
	for _, path := range paths {
		if raw, err := os.Open(path); err == nil {
			if h, _, err := spool.Read(raw, path); err == nil && h.Place == db.Name() {
				waiting = append(waiting, path)
			}
			_ = raw.Close() // it was only read
		}
	}
	return waiting
}

// write writes the description for people.
func (i infoView) write(to io.Writer) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		// A tabwriter keeps its first error for Flush.
		_, _ = fmt.Fprintf(out, "%s\t%s\n", name, logging.Clean(fmt.Sprintf(format, args...)))
	}
	engines := map[string]string{string(database.SQLite): "SQLite", string(database.PostgreSQL): "PostgreSQL"}
	row("database", "%s", i.Place)
	row("engine", "%s %s, schema %d", engines[i.Engine], i.Version, i.Schema)
	row("size", "%.1f MB", float64(i.Bytes)/1e6)
	row("procedures", "%d in %s", i.Procedures, phrase.Count(int(i.Versions), "version"))
	runs := fmt.Sprintf("%d with %s; %d running, %d interrupted", i.Runs, phrase.Count(int(i.Steps), "step result"), i.Running, i.Interrupted)
	if i.Runs > 0 {
		runs += fmt.Sprintf("; from %s to %s", localTime(i.First), localTime(i.Last))
	}
	row("runs", "%s", runs)
	row("baselines", "%d", i.Baselines)
	collected := fmt.Sprintf("%s of %s", phrase.Count(int(i.AgentEvents), "event"), phrase.Count(int(i.AgentBoards), "board"))
	if i.Rejects > 0 {
		collected += fmt.Sprintf("; %s put aside, see the table agent_rejects", phrase.Count(int(i.Rejects), "message"))
	}
	row("collected", "%s", collected)
	row("waiting", "%s with events that are not stored yet", phrase.Count(len(i.Waiting), "file"))
	for _, path := range i.Waiting {
		row("", "%s", path)
	}
	return out.Flush()
}
