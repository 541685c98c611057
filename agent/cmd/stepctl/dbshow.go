package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

func newDBShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME[@VERSION]",
		Short: "show a procedure and its steps",
		Long: `show shows a version of a procedure, the newest unless one is named, and its steps. Times are in
seconds.
` + databaseHelp,
		Example: `  stepctl db show door
  stepctl db show door@3 --json | jq .sha256`,
		Args: oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				v, content, err := storedVersion(ctx, db, args[0])
				if err != nil {
					return err
				}
				shown := shownProcedure(v, content)
				if asJSON {
					return written(writeJSON(cmd.OutOrStdout(), shown))
				}
				return written(shown.write(cmd.OutOrStdout()))
			})
		},
		ValidArgsFunction: completeFromDatabase(1, procedureNames),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	addDatabase(cmd)
	return cmd
}

// writeJSON writes one value as a line of JSON.
func writeJSON(to io.Writer, value any) error {
	return json.MarshalEncode(jsontext.NewEncoder(to), value, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
}

// A procedureView is what db show shows. Times of steps are in seconds.
type procedureView struct {
	Name     string     `json:"name"`
	Version  int64      `json:"version"`
	SHA256   string     `json:"sha256"`
	Bytes    int64      `json:"bytes"`
	Imported time.Time  `json:"imported"`
	Steps    []stepView `json:"steps"`
}

type stepView struct {
	ID       int64          `json:"step_id"`
	Timeout  float64        `json:"timeout"`
	Interval float64        `json:"interval"`
	Data     jsontext.Value `json:"data,omitzero"`
}

func shownProcedure(v database.Version, content []byte) procedureView {
	shown := procedureView{v.Name, v.Version, v.SHA256, v.Bytes, v.Imported, nil}
	procedure, _ := stepfile.Parse(v.Name, content) // it was sound when it was stored
	for _, step := range procedure.Steps {
		shown.Steps = append(shown.Steps, stepView{step.ID, step.Timeout.Seconds(), step.Interval.Seconds(), step.Data})
	}
	return shown
}

// write writes the procedure for people.
func (p procedureView) write(to io.Writer) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	// A tabwriter keeps its first error for Flush.
	_, _ = fmt.Fprintf(out, "procedure\t%s\nversion\t%d\nsha256\t%s\nsize\t%d bytes\nimported\t%s\n\n",
		logging.Clean(p.Name), p.Version, p.SHA256, p.Bytes, localTime(p.Imported))
	if err := out.Flush(); err != nil {
		return err
	}
	seconds := func(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }
	return writeList(to, listFormat{}, []column[stepView]{
		{name: "step", value: func(s stepView) any { return s.ID }},
		{name: "timeout", text: func(s stepView) string { return seconds(s.Timeout) }},
		{name: "interval", text: func(s stepView) string { return seconds(s.Interval) }},
		{name: "data", text: func(s stepView) string { return string(s.Data) }},
	}, allRows(p.Steps))
}
