package history_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/history"
)

// The attempts before a run are those of its performance, also where a worker was killed between its claim,
// which has a number, and its run. The runs are of one entry, the oldest first; that of the last is asked for.
func TestAttempts(t *testing.T) {
	type attempt struct {
		number       int
		state, cause string
	}
	const ended, running, stopped = "ended", "running", "interrupted"
	tests := []struct {
		name string
		runs []attempt
		want int // how many of the runs before the last
	}{
		{"the first", []attempt{{1, ended, "finished"}}, 0},
		{"the second", []attempt{{1, stopped, ""}, {2, ended, "finished"}}, 1},
		{"the third", []attempt{{1, ended, "interrupted"}, {2, stopped, ""}, {3, running, ""}}, 2},
		{"a first without a run", []attempt{{2, ended, "finished"}}, 0},
		{"a second without a run", []attempt{{1, stopped, ""}, {3, ended, "finished"}}, 1},
		{"of a second performance", []attempt{{1, ended, "finished"}, {1, stopped, ""}, {2, ended, "finished"}}, 1},
		{"of one without a first run", []attempt{{1, ended, "finished"}, {2, ended, "finished"}}, 0},
		{"of one without a second run", []attempt{{1, stopped, ""}, {2, ended, "lost"}, {1, stopped, ""}, {3, ended, "finished"}}, 1},
		{"of one without any other", []attempt{{1, stopped, ""}, {2, ended, "finished"}, {3, ended, "finished"}}, 0},
		{"after a performance whose end is lost", []attempt{{2, stopped, ""}, {1, stopped, ""}, {3, running, ""}}, 1},
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for entry, tt := range tests {
			var ids []string
			for i, a := range tt.runs {
				id := database.NewID(start.AddDate(0, 0, len(tests)*entry+i))
				must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.Exec(fmt.Sprintf("INSERT INTO runs (id, procedure, started, seen, state, cause, entry, attempt) VALUES ('%s', 'p', $1, $1, '%s', '%s', %d, %d)",
						id, a.state, a.cause, entry+1, a.number), database.Time(start))
					return err
				}))
				ids = append(ids, id)
			}
			run, err := db.Run(t.Context(), ids[len(ids)-1])
			must(t, err)
			attempts, err := history.Attempts(t.Context(), db, run)
			must(t, err)
			var got []string
			for _, a := range attempts {
				got = append(got, a.ID)
			}
			if before := ids[:len(ids)-1]; !slices.Equal(got, before[len(before)-tt.want:]) {
				t.Errorf("%s: %v, want the last %d of %v", tt.name, got, tt.want, before)
			}
		}
	})
}
