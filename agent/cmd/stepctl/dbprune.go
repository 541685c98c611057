package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newDBPrune() *cobra.Command {
	var keep database.Retention
	var dry bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "remove old runs and collected events",
		Long: `prune removes runs by their age, by the number of runs of a procedure, and by the size of all
records. Runs that did not pass are kept longer, and runs of a baseline as long as the baseline.
Procedures are never removed, and neither is a run that goes on. A SQLite file does not become
smaller: its space is used again.

Events that stepctl collect has stored are removed by their age, which counts from the moment when
they were collected. Steps and sessions that did not pass are kept as long as such runs. Messages
that collect has put aside are removed by --older-than, and before any run by --size, the oldest
first.

Without a limit, runs that passed are kept for a year, and others for two. With a limit that one
alone applies: --older-than keeps all runs that did not pass, unless --failed-older-than is given
too. Ages are numbers with d for days, or with h, m or s, and sizes have k, M or G.
` + databaseHelp + `

Exit codes:
  0  the runs are removed
  1  interrupted; what was removed until then is gone
  2  the command line is wrong
  4  the database could not remove runs`,
		Example: `  stepctl db prune --dry-run
  stepctl db prune --older-than 90d --failed-older-than 730d
  stepctl db prune --most 1000 --size 2G`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case keep == database.Retention{}:
				keep = database.DefaultRetention()
			case keep.FailedAge > 0 && (keep.MaxAge == 0 || keep.FailedAge < keep.MaxAge):
				return errors.New("runs that did not pass are kept at least as long as others; give --older-than, not above --failed-older-than")
			}
			return withDatabase(cmd, pruning, func(ctx context.Context, db *database.DB) error {
				pruned, err := db.Prune(ctx, keep, dry)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), prunedText(pruned, dry))
				return written(err)
			})
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.Func("older-than", "remove runs above this `AGE` that passed", setAge(&keep.MaxAge))
	set.Func("failed-older-than", "remove runs above this `AGE` that did not pass", setAge(&keep.FailedAge))
	set.Func("most", "keep this `NUMBER` of runs of each procedure that passed, the newest", setSize(&keep.MaxRuns))
	set.Func("size", "keep records, and messages that were put aside, of about this `SIZE` together", setSize(&keep.MaxBytes))
	set.BoolVar(&dry, "dry-run", false, "say what would be removed, and remove nothing")
	addDatabase(cmd)
	return cmd
}

// prunedText says what was removed.
func prunedText(p database.Pruned, dry bool) string {
	verb := "removed"
	if dry {
		verb = "would be removed"
	}
	text := fmt.Sprintf("%s %s: %d by age, %d by number, %d by size",
		phrase.Count(int(p.ByAge+p.ByCount+p.BySize), "run"), verb, p.ByAge, p.ByCount, p.BySize)
	if p.Collected > 0 {
		text += fmt.Sprintf("; %s by age", phrase.Count(int(p.Collected), "collected event"))
	}
	if p.Rejects > 0 {
		text += fmt.Sprintf("; %s", phrase.Count(int(p.Rejects), "rejected message"))
	}
	return fmt.Sprintf("%s; %.1f MB of records", text, float64(p.Bytes)/1e6)
}

// setAge returns the function of a flag that reads an age, such as 90d or 12h.
func setAge(age *time.Duration) func(string) error {
	return func(text string) error {
		wrong := errors.New("write an age above 0, such as 90d or 12h")
		if days, found := strings.CutSuffix(text, "d"); found {
			n, err := strconv.ParseFloat(days, 64)
			if err != nil || !(n > 0 && n < float64(math.MaxInt64)/float64(24*time.Hour)) {
				return wrong
			}
			*age = time.Duration(n * float64(24*time.Hour))
			return nil
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return wrong
		}
		*age = d
		return nil
	}
}

// setSize returns the function of a flag that reads a number, such as 1000, 500M or 2G.
func setSize(size *int64) func(string) error {
	return func(text string) error {
		digits, factor := text, int64(1)
		for unit, bytes := range map[string]int64{"k": 1e3, "M": 1e6, "G": 1e9} {
			if number, found := strings.CutSuffix(text, unit); found {
				digits, factor = number, bytes
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > math.MaxInt64/factor {
			return errors.New("write a number above 0, such as 1000, 500M or 2G")
		}
		*size = n * factor
		return nil
	}
}
