package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// MaxRuns is how many runs a selection has at most; of more, the newest count.
const MaxRuns = 1000

// A Selection is a set of runs with the name that it was selected by.
type Selection struct {
	Name string
	// Runs are different runs, the oldest first.
	Runs []database.Run
	// Cut says that there are more than MaxRuns.
	Cut bool
}

// ErrNoRuns is the error for a selection that would be empty.
var ErrNoRuns = errors.New("no run is selected")

// Select returns the runs that a text names: the id of a run or a unique part of it, "last" for the
// newest, the name of a baseline, a label as KEY=VALUE, or several of these separated by commas. Of
// a baseline and a label, only runs of the procedure count, unless it is empty.
func Select(ctx context.Context, db *database.DB, text, procedure string) (Selection, error) {
	s := Selection{Name: text}
	for part := range strings.SplitSeq(text, ",") {
		runs, err := selectPart(ctx, db, strings.TrimSpace(part), procedure)
		if err != nil {
			return Selection{}, err
		}
		s.Runs = append(s.Runs, runs...)
	}
	slices.SortFunc(s.Runs, func(a, b database.Run) int { return strings.Compare(a.ID, b.ID) })
	s.Runs = slices.CompactFunc(s.Runs, func(a, b database.Run) bool { return a.ID == b.ID })
	if n := len(s.Runs); n > MaxRuns {
		s.Runs, s.Cut = s.Runs[n-MaxRuns:], true
	}
	if len(s.Runs) == 0 {
		return Selection{}, fmt.Errorf("%w by %q", ErrNoRuns, text)
	}
	return s, nil
}

// selectPart returns the runs that one part of a selection names.
func selectPart(ctx context.Context, db *database.DB, part, procedure string) ([]database.Run, error) {
	if key, value, isLabel := strings.Cut(part, "="); isLabel {
		filter := database.Filter{Procedure: procedure, Labels: map[string]string{key: value}, Limit: MaxRuns + 1}
		runs, err := db.Runs(ctx, filter)
		if err == nil && len(runs) == 0 {
			err = fmt.Errorf("%w by the label %q; list the runs with \"stepctl history\"", ErrNoRuns, part)
		}
		return runs, err
	}
	runs, err := selectBaseline(ctx, db, part, procedure)
	if err != nil || len(runs) > 0 {
		return runs, err
	}
	run, err := db.Run(ctx, part)
	switch {
	case err == nil:
		return []database.Run{run}, nil
	case part != "last" && !database.IsPartOfID(part):
		return nil, fmt.Errorf("%w by %q, which is no baseline, no label KEY=VALUE and no id of a run; see \"stepctl history\"", ErrNoRuns, part)
	}
	return nil, err
}

// selectBaseline returns the runs of the baseline with the name; nothing if there is none.
func selectBaseline(ctx context.Context, db *database.DB, name, procedure string) ([]database.Run, error) {
	baselines, err := db.Baselines(ctx, procedure)
	if err != nil {
		return nil, err
	}
	baselines = slices.DeleteFunc(baselines, func(b database.Baseline) bool { return b.Name != name })
	switch len(baselines) {
	case 0:
		return nil, nil
	case 1:
		return db.Runs(ctx, database.Filter{Procedure: baselines[0].Procedure, Baseline: name, Limit: MaxRuns + 1})
	}
	var of []string
	for _, b := range baselines {
		of = append(of, b.Procedure)
	}
	return nil, fmt.Errorf("the procedures %s have a baseline %q each; name runs instead", phrase.List(of), name)
}

// Against returns the selection that runs are compared with: what text names, or without a text the only
// baseline of their procedure.
func Against(ctx context.Context, db *database.DB, text string, runs Selection) (Selection, error) {
	procedure := runs.Runs[len(runs.Runs)-1].Procedure
	if text != "" {
		return Select(ctx, db, text, procedure)
	}
	baselines, err := db.Baselines(ctx, procedure)
	if err != nil {
		return Selection{}, err
	}
	switch len(baselines) {
	case 0:
		return Selection{}, fmt.Errorf("%q has no baseline; name runs to compare with, or make one with \"stepctl history baseline set\"", procedure)
	case 1:
		return Select(ctx, db, baselines[0].Name, procedure)
	}
	var names []string
	for _, b := range baselines {
		names = append(names, fmt.Sprintf("%q", b.Name))
	}
	return Selection{}, fmt.Errorf("%q has the baselines %s; name one", procedure, phrase.List(names))
}
