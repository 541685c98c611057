package history

import (
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// notes says what limits a comparison.
func notes(before, after Selection, b, a *table, c *Comparison) []string {
	notes := []string{} // [] rather than null in JSON
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if len(before.Runs) == 0 || len(after.Runs) == 0 {
		return append(notes, "one side has no runs, so nothing is compared")
	}
	if !slices.Equal(c.Before.Procedures, c.After.Procedures) {
		add("different procedures: %s before and %s after", shorten(c.Before.Procedures), shorten(c.After.Procedures))
	}
	if contents := union(c.Before.Contents, c.After.Contents); len(contents) > 1 {
		add("%d different contents of the procedure: only steps with the same id, timeout and interval are compared", len(contents))
	}
	if boards := union(c.Before.Boards, c.After.Boards); len(boards) > 1 {
		add("different boards: %s before and %s after", shorten(c.Before.Boards), shorten(c.After.Boards))
	}
	if onlyBefore, onlyAfter := lacking(b, a), lacking(a, b); onlyBefore+onlyAfter > 0 {
		add("not compared: %s only before and %s only after", phrase.Count(onlyBefore, "step"), phrase.Count(onlyAfter, "step"))
	}
	for _, s := range []Selection{before, after} {
		if s.Cut {
			add("%s: only the newest %d runs count", s.Name, MaxRuns)
		}
		if running := count(s.Runs, func(r database.Run) bool { return r.State == database.Running }); running > 0 {
			add("%s: %s still running", s.Name, phrase.CountAre(running, "run"))
		}
	}
	if both := slices.DeleteFunc(union(before.Names(), after.Names()), func(id string) bool {
		return !slices.Contains(before.Names(), id) || !slices.Contains(after.Names(), id)
	}); len(both) > 0 {
		add("%s on both sides", phrase.CountAre(len(both), "run"))
	}
	return append(notes, loadNotes(before, after)...)
}

// loadNotes says what limits a comparison of load tests.
func loadNotes(before, after Selection) (notes []string) {
	all := slices.Concat(before.Runs, after.Runs)
	loads := count(all, func(r database.Run) bool { return r.Kind == database.KindLoad })
	if loads == 0 {
		return nil
	}
	if loads < len(all) {
		notes = append(notes, "runs and load tests are not compared with each other")
	}
	if len(before.Runs) == 1 || len(after.Runs) == 1 {
		notes = append(notes, "the result of a load test has quantiles and not the single times, so two load tests alone cannot be told apart; repeat each")
	}
	settings := map[string]bool{}
	for _, r := range all {
		if r.Kind == database.KindLoad {
			result := loadResultOf(r)
			settings[fmt.Sprintf("%d clients at %g steps per second", result.Clients, result.Rate)] = true
		}
	}
	if len(settings) > 1 {
		notes = append(notes, "the load tests have different numbers of clients or rates")
	}
	return notes
}

// Names returns the ids of the runs.
func (s Selection) Names() []string {
	ids := make([]string, len(s.Runs))
	for i, run := range s.Runs {
		ids[i] = run.ID
	}
	return ids
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func count(runs []database.Run, holds func(database.Run) bool) (n int) {
	for _, run := range runs {
		if holds(run) {
			n++
		}
	}
	return n
}

// lacking returns how many steps t has and other has not.
func lacking(t, other *table) (n int) {
	for _, key := range t.keys {
		if t.has(key) && !other.has(key) {
			n++
		}
	}
	return n
}
