package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func newHistoryShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "show a stored run: its steps, labels, baselines and attempts",
		Long: `show shows what the database knows about a run, and the table and sentence that report prints. Of a
load test it shows the result. For report files of a run, see stepctl report --run.

A run of the queue that was taken up again, because its worker was killed, has several attempts: show
lists those before it.
` + databaseHelp,
		Example: `  stepctl history show last
  stepctl history show 7f3a9c --json | jq .report.counts`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one run, such as last; got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				shown, err := readRun(ctx, db, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return shown.writeJSON(cmd.OutOrStdout())
				}
				return written(shown.write(cmd.OutOrStdout()))
			})
		},
		ValidArgsFunction: completeFromDatabase(1, runNames),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	addDatabase(cmd)
	return cmd
}

// A shownRun is what history show shows.
type shownRun struct {
	run       database.Run
	baselines []string
	attempts  []database.Run // before this one, the oldest first
	folded    record.Run     // of a run; zero for a load test
}

// readRun reads the run that text names.
func readRun(ctx context.Context, db *database.DB, text string) (*shownRun, error) {
	selected, err := history.Select(ctx, db, text, "")
	if err != nil {
		return nil, err
	}
	if len(selected.Runs) > 1 {
		return nil, fmt.Errorf("%q names %d runs; name one", text, len(selected.Runs))
	}
	shown := &shownRun{run: selected.Runs[0]}
	baselines, err := db.Baselines(ctx, shown.run.Procedure)
	if err != nil {
		return nil, err
	}
	for _, b := range baselines {
		for _, run := range b.Runs {
			if run == shown.run.ID {
				shown.baselines = append(shown.baselines, b.Name)
			}
		}
	}
	if shown.attempts, err = history.Attempts(ctx, db, shown.run); err != nil {
		return nil, err
	}
	if shown.run.Kind == database.KindLoad {
		return shown, nil
	}
	log, err := storedRecord(ctx, db, shown.run.ID)
	if err == nil && len(log.Events) > 0 {
		shown.folded, err = log.Fold()
	}
	return shown, err
}

// writeJSON writes one object: the run as history lists it, its baselines and attempts, and the summary
// of report or the result of a load test.
func (s *shownRun) writeJSON(to io.Writer) error {
	var run, summary bytes.Buffer
	if err := writeObject(&run, runColumns(), s.run); err != nil {
		return err
	}
	object := struct {
		Run       jsontext.Value `json:"run"`
		Baselines []string       `json:"baselines"`
		Attempts  []string       `json:"attempts_before"`
		Report    jsontext.Value `json:"report,omitzero"`
		Result    jsontext.Value `json:"result,omitzero"`
	}{Run: run.Bytes(), Baselines: append([]string{}, s.baselines...), Attempts: []string{}}
	for _, a := range s.attempts {
		object.Attempts = append(object.Attempts, a.ID)
	}
	switch {
	case s.run.Kind == database.KindLoad && s.run.Result != "":
		object.Result = jsontext.Value(s.run.Result)
	case s.run.Kind != database.KindLoad:
		if err := report.Summary(&summary, s.folded, nil); err != nil {
			return err
		}
		object.Report = summary.Bytes()
	}
	return written(writeJSON(to, object))
}

// write writes the run for people.
func (s *shownRun) write(to io.Writer) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(out, "%s\t%s\n", name, logging.Clean(value)) // Flush has the error
		}
	}
	row("run", s.run.ID)
	row("kind", string(s.run.Kind))
	row("procedure", procedureOf(s.run))
	row("sha256", s.run.ProcedureSHA256)
	row("board", s.run.Board)
	row("labels", labelsOf(s.run.Labels).String())
	row("started", localTime(s.run.Started))
	row("state", string(s.run.State))
	row("verdict", s.run.Verdict)
	row("agent", join(" at ", s.run.Agent, s.run.Address))
	row("client", join(" on ", s.run.Client, s.run.Host))
	row("baselines", named(s.baselines))
	if s.run.Entry != 0 {
		row("queue", fmt.Sprintf("attempt %d of entry %d, worker %s", s.run.Attempt, s.run.Entry, s.run.Worker))
	}
	for _, a := range s.attempts {
		row("before", fmt.Sprintf("attempt %d: %s, %s, worker %s", a.Attempt, a.ID, verdictOf(a), a.Worker))
	}
	if s.run.Kind == database.KindLoad {
		for _, m := range history.Measures(s.run) {
			row(m.Key.Measure, spanOf(*m.Took))
		}
	}
	if err := out.Flush(); err != nil || s.run.Kind == database.KindLoad {
		return err
	}
	style := styleOf(to)
	_, err := fmt.Fprintln(to)
	return errors.Join(err, report.Table(to, s.folded, style), writeLines(to, report.Sentence(s.folded)))
}

// runNames returns the ids of the newest runs and the names of the baselines, for completions.
func runNames(ctx context.Context, db *database.DB) ([]string, error) {
	names, err := newestRuns(ctx, db)
	if err != nil {
		return nil, err
	}
	baselines, err := db.Baselines(ctx, "")
	for _, b := range baselines {
		names = append(names, fmt.Sprintf("%s\tbaseline of %s", logging.Clean(b.Name), logging.Clean(b.Procedure)))
	}
	return names, err
}
