package database_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

const day = 24 * time.Hour

// fill adds ten runs, one for each of the last days, from the oldest. Each third fails, and the oldest
// that passed is a baseline.
func fill(t *testing.T, db *database.DB) []string {
	t.Helper()
	ctx := context.Background()
	now, err := db.Now(ctx)
	must(t, err)
	var ids []string
	for i := range 10 {
		failed := 0
		if i%3 == 0 {
			failed = 1
		}
		id, _, err := db.Add(ctx, "r", lines(t, events(now.Add(time.Duration(i-10)*day), 2, failed)), database.Meta{})
		must(t, err)
		ids = append(ids, id)
	}
	must(t, db.SetBaseline(ctx, "night", "spring", ids[1:2]))
	return ids
}

// Failures and baselines stay longer than other runs, by each limit.
func TestPrune(t *testing.T) {
	for name, tt := range map[string]struct {
		limits database.Retention
		keep   []int
		count  database.Pruned
	}{
		"nothing": {database.Retention{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, database.Pruned{}},
		"age":     {database.Retention{MaxAge: 4*day + day/2}, []int{0, 1, 3, 6, 7, 8, 9}, database.Pruned{ByAge: 3}},
		"age of failures": {database.Retention{MaxAge: 4*day + day/2, FailedAge: 8 * day}, []int{1, 3, 6, 7, 8, 9},
			database.Pruned{ByAge: 4}},
		"count": {database.Retention{MaxRuns: 2}, []int{0, 1, 3, 6, 7, 8, 9}, database.Pruned{ByCount: 3}},
		"size":  {database.Retention{MaxBytes: 1}, []int{1}, database.Pruned{BySize: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ids, ctx := fill(t, db), context.Background()
				for _, dry := range []bool{true, false} {
					got, err := db.Prune(ctx, tt.limits, dry)
					if (got.Bytes > 0) != (tt.count != database.Pruned{}) {
						t.Errorf("%d bytes", got.Bytes)
					}
					got.Bytes = 0
					if err != nil || got != tt.count {
						t.Errorf("dry %t: %+v, error %v", dry, got, err)
					}
				}
				runs, err := db.Runs(ctx, database.Filter{})
				must(t, err)
				var kept []int
				for _, run := range runs {
					kept = append(kept, slices.Index(ids, run.ID))
				}
				slices.Sort(kept)
				if diff := gocmp.Diff(tt.keep, kept); diff != "" {
					t.Error(diff)
				}
				var rest int
				must(t, db.Read().QueryRow("SELECT count(*) FROM (SELECT run FROM events UNION SELECT run FROM steps) AS r WHERE run NOT IN (SELECT id FROM runs)").Scan(&rest))
				if rest != 0 {
					t.Errorf("events or steps of %d runs are left", rest)
				}
			})
		})
	}
}

// A run that is being stored is as its events say at any moment.
func TestCheckWhileStored(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		stateFolder(t)
		ctx := context.Background()
		r, err := db.Begin(ctx, database.Meta{}, func(err error) { t.Error(err) })
		must(t, err)
		done := make(chan error)
		go func() {
			w := record.NewWriter(r)
			var err error
			for _, e := range events(start, 300, 0) {
				err = cmp.Or(err, w.Write(e), db.Ping(ctx)) // some time for a commit
			}
			done <- errors.Join(err, r.Close())
		}()
		for checks, ended := 0, false; !ended; checks++ {
			select {
			case err := <-done:
				must(t, err)
				ended = true
			default:
			}
			if wrong, err := db.Check(ctx, r.ID()); (err != nil || len(wrong) > 0) && !t.Failed() {
				t.Errorf("check %d: %q, error %v", checks+1, wrong, err)
			}
		}
	})
}

// A column that was edited by SQL is found by the events.
func TestCheck(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		id, _, err := db.Add(ctx, "r", lines(t, events(start, 3, 2)), database.Meta{})
		must(t, err)
		if wrong, err := db.Check(ctx, id); err != nil || len(wrong) > 0 {
			t.Errorf("%q, error %v", wrong, err)
		}
		for _, tt := range []struct{ edit, want string }{
			{"UPDATE runs SET verdict = 'pass'", "the verdict is pass, and its events say fail"},
			{"UPDATE runs SET failed = 0, passed = 3", "the number of passed steps is 3, and its events say 2"},
			{"DELETE FROM steps WHERE idx = 3", "2 steps are stored, and the events have 3"},
		} {
			execute(t, db, tt.edit)
			if wrong, err := db.Check(ctx, id); err != nil || !slices.Contains(wrong, tt.want) {
				t.Errorf("%s: %q, error %v", tt.edit, wrong, err)
			}
		}
		execute(t, db, "UPDATE steps SET took = 0.5 WHERE idx = 1")
		if wrong, err := db.Check(ctx, id); err != nil || len(wrong) < 4 {
			t.Errorf("%q, error %v", wrong, err)
		}
		if err := tryExecute(db, "UPDATE events SET lines = ''"); err == nil {
			t.Error("events were edited")
		}
	})
}
