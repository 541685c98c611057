package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
)

// statisticsHelp is part of the help of the commands that compare times.
const statisticsHelp = `
A change is the ratio of the times after to those before, with its interval: 1.05 is five per cent
slower. Its word follows from the interval:
  slower              the whole interval is above 1 + threshold
  faster              the whole interval is below 1 / (1 + threshold)
  no difference seen  the interval reaches smaller changes; this does not prove that there is none
  too few runs        with this few runs, no difference could be told
No distribution is assumed. All words about the steps together are wrong with a probability of at most
5 % (with --confidence 95), and so is the word about the runs as a whole; the intervals of
the steps are widened for that (Holm's method). With more steps, more runs are needed: 4 on each side
for one step, 6 for ten, 8 for a hundred. Where a side has too few runs, the runs as a whole
are compared by their steps, as pairs. What is said then holds for these runs, and does not say
whether the next ones will be the same.

Only replies in time have a duration. Other outcomes are counted. Times are shown as median, half of
the range between the quartiles, and number of replies: 20.0 ms ±0.3 ms (10).`

// A judgement is the flags of the commands that compare.
type judgement struct {
	confidence, threshold float64
	failOn                []string
	words                 []string // that --fail-on accepts
}

func (j *judgement) register(cmd *cobra.Command, words ...string) {
	j.words = words
	cmd.Flags().Float64Var(&j.confidence, "confidence", 100*(1-statistics.Defaults.Alpha), "`PERCENT` of comparisons of which every word is right")
	cmd.Flags().Float64Var(&j.threshold, "threshold", 100*statistics.Defaults.Threshold, "smallest change that counts, in `PERCENT`")
	cmd.Flags().StringSliceVar(&j.failOn, "fail-on", nil, "exit with 1 if any of the `WORDS` is found: "+strings.Join(words, ", "))
	completeFlag(cmd, "fail-on", words)
}

// options returns the options of the flags. The error is one of the command line.
func (j *judgement) options() (statistics.Options, error) {
	for _, word := range j.failOn {
		if !slices.Contains(j.words, word) {
			return statistics.Options{}, fmt.Errorf("--fail-on takes %s, not %q", strings.Join(j.words, ", "), word)
		}
	}
	o := statistics.Options{Alpha: 1 - j.confidence/100, Threshold: j.threshold / 100}
	return o, o.Check()
}

// finding returns the error with exit code 1 if a word of --fail-on is found. found returns the sentence of
// a word; empty if it is not found.
func (j *judgement) finding(found func(word string) string) error {
	var sentences []string
	for _, word := range j.failOn {
		if sentence := found(word); sentence != "" {
			sentences = append(sentences, sentence)
		}
	}
	if len(sentences) == 0 {
		return nil
	}
	return &exitError{exitFailed, errors.New(strings.Join(sentences, "; "))}
}

func newHistoryCompare() *cobra.Command {
	var format listFormat
	var judge judgement
	cmd := &cobra.Command{
		Use:   "compare RUN [BASELINE]",
		Short: "compare runs with a baseline, step by step and as a whole",
		Long: `compare compares the runs that RUN names with those of BASELINE, which may be anything that names
runs; without it, with the only baseline of the procedure. Steps are the same if id, timeout and
interval are. Load tests are compared by their throughput and the quantiles of their latency.
` + statisticsHelp + `

--fail-on fail finds steps that all runs of BASELINE passed, and not all of RUN; --fail-on few, that
there are too few runs to compare them as a whole.

Exit codes:
  0  compared, and nothing of --fail-on found
  1  something of --fail-on found
  2  the command line is wrong, or the database cannot be read or has no such run
` + databaseHelp,
		Example: `  stepctl history compare last release --fail-on slower,fail
  stepctl history compare build=42 build=41 --json
  stepctl history compare 7f3a9c,81d20e 0b12aa --threshold 2`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return errors.New("name the runs, and what to compare them with; such as last release")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := judge.options()
			if err != nil {
				return err
			}
			var c *history.Comparison
			err = withDatabase(cmd, reading, func(ctx context.Context, db *database.DB) error {
				after, err := history.Select(ctx, db, args[0], "")
				if err != nil {
					return err
				}
				against := ""
				if len(args) > 1 {
					against = args[1]
				}
				before, err := history.Against(ctx, db, against, after)
				if err == nil {
					c, err = history.Compare(ctx, db, before, after, options)
				}
				return err
			})
			if err == nil {
				err = writeComparison(cmd.OutOrStdout(), format, c)
			}
			if err == nil {
				err = judge.finding(func(word string) string { return foundIn(c, word) })
			}
			return err
		},
		ValidArgsFunction: completeFromDatabase(2, runNames),
	}
	cmd.Flags().SortFlags = false
	judge.register(cmd, "slower", "faster", "fail", "few")
	format.register(cmd)
	addDatabase(cmd)
	return cmd
}

// foundIn returns the sentence of a word that is found in a comparison; empty if it is not.
func foundIn(c *history.Comparison, word string) string {
	switch {
	case word == "fail":
		return failing(c.NewlyFailing(), c.Before.Name)
	case word == "few" && c.Whole.Word == statistics.TooFew:
		return fmt.Sprintf("too few runs to compare with %q as a whole", c.Before.Name)
	}
	var steps []string
	for _, s := range c.Steps {
		if string(s.Change.Word) == word {
			steps = append(steps, s.Key.String())
		}
	}
	whole := ""
	if string(c.Whole.Word) == word {
		whole = fmt.Sprintf("%s as a whole than %q", word, c.Before.Name)
	}
	if len(steps) == 0 {
		return whole
	}
	return join("; ", whole, fmt.Sprintf("%s %s than in %q", stepsAre(steps), word, c.Before.Name))
}

// failing says which steps fail now; empty for none.
func failing(found []history.Step, before string) string {
	if len(found) == 0 {
		return ""
	}
	var steps []string
	for _, s := range found {
		steps = append(steps, s.Key.String())
	}
	return fmt.Sprintf("%s not always passed, and always in %q", stepsAre(steps), before)
}

// writeComparison writes a comparison: one object as JSON, its steps as CSV, or text.
func writeComparison(to io.Writer, format listFormat, c *history.Comparison) error {
	switch {
	case format.json:
		return written(writeJSON(to, c))
	case format.csv:
		return writeList(to, format, stepColumns(), allRows(c.Steps))
	}
	if err := written(writeLines(to, headingOf(c)...)); err != nil {
		return err
	}
	if err := writeList(to, format, stepTable(c), allRows(c.Steps)); err != nil {
		return err
	}
	return written(writeLines(to, wholeSentence(c), stepsSentence(c)))
}
