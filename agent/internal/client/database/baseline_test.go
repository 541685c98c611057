package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

func TestBaselines(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		var ids []string
		for i := range 4 {
			id, _, err := db.Add(ctx, "r", lines(t, events(start.Add(time.Duration(i)*time.Minute), 2, 0)), database.Meta{})
			must(t, err)
			ids = append(ids, id)
		}
		must(t, db.SetBaseline(ctx, "night", "old", ids[:1]))
		must(t, db.SetBaseline(ctx, "night", "release", []string{ids[2], ids[1]}))
		must(t, db.SetBaseline(ctx, "night", "old", ids[3:])) // replaces
		for name, err := range map[string]error{
			"unknown run":     db.SetBaseline(ctx, "night", "old", []string{ids[0], "20260101T000000-000000"}),
			"other procedure": db.SetBaseline(ctx, "day", "old", ids[:1]),
			"unknown":         db.DropBaseline(ctx, "night", "none"),
		} {
			if !errors.Is(err, database.ErrMissing) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		for name, err := range map[string]error{
			"no name": db.SetBaseline(ctx, "night", "", ids), "no runs": db.SetBaseline(ctx, "night", "none", nil),
		} {
			if err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
		check := func(procedure string, want ...database.Baseline) {
			t.Helper()
			got, err := db.Baselines(ctx, procedure)
			must(t, err)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(database.Baseline{}, "Made"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			for _, b := range got {
				if since := time.Since(b.Made).Abs(); since > time.Hour {
					t.Errorf("%s was made at %s", b.Name, b.Made)
				}
			}
		}
		old := database.Baseline{Procedure: "night", Name: "old", Runs: ids[3:]}
		release := database.Baseline{Procedure: "night", Name: "release", Runs: ids[1:3]}
		check("", old, release)
		check("night", old, release)
		check("day")
		runs, err := db.Runs(ctx, database.Filter{Baseline: "release"})
		if err != nil || len(runs) != 2 || runs[0].ID != ids[2] {
			t.Errorf("%d runs, error %v", len(runs), err)
		}
		if runs, err = db.Runs(ctx, database.Filter{Content: runs[0].ProcedureSHA256}); err != nil || len(runs) != 4 {
			t.Errorf("by content: %d runs, error %v", len(runs), err)
		}
		must(t, db.DropBaseline(ctx, "night", "old"))
		check("night", release)
	})
}
