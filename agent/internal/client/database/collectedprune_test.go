package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// Collected events go by the age since they were collected, those that did not pass later, and a message goes
// with its last event.
func TestPruneCollected(t *testing.T) {
	for name, tt := range map[string]struct {
		limits                    database.Retention
		removed, events, messages int64
	}{
		"no age":          {database.Retention{MaxBytes: 1 << 30}, 0, 9, 3},
		"young enough":    {database.Retention{MaxAge: 4 * day}, 0, 9, 3},
		"age":             {database.Retention{MaxAge: 2 * day}, 2, 7, 3},
		"age of failures": {database.Retention{MaxAge: day / 2, FailedAge: 2 * day}, 5, 4, 2},
		"all":             {database.Retention{MaxAge: day / 2, FailedAge: day / 2}, 6, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ctx := context.Background()
				now, err := db.Now(ctx)
				must(t, err)
				for i, age := range []time.Duration{0, day, 3 * day} { // the board's clock says the same of all
					session := fmt.Sprintf("s%d", i)
					keepMessages(t, db, message("bench-1", session, stepLine(t, session, i, 0), endLine(t, session, "pass", i), stepLine(t, session, i+10, 3)))
					execute(t, db, fmt.Sprintf("UPDATE agent_messages SET collected = '%s' WHERE id = '%s'",
						now.Add(-age).UTC().Format("2006-01-02T15:04:05.000000Z"), session))
				}
				for _, dry := range []bool{true, false} {
					got, err := db.Prune(ctx, tt.limits, dry)
					if err != nil || got.Collected != tt.removed || (got.Bytes > 0) != (tt.removed > 0) {
						t.Errorf("dry %t: %+v, error %v", dry, got, err)
					}
				}
				if n := numberOf(t, db, "SELECT count(*) FROM agent_events"); n != tt.events {
					t.Errorf("%d events are left, want %d", n, tt.events)
				}
				if n := numberOf(t, db, "SELECT count(*) FROM agent_messages"); n != tt.messages {
					t.Errorf("%d messages are left, want %d", n, tt.messages)
				}
			})
		})
	}
}

// Messages that were put aside go by their age, and by their size before all runs, the oldest first. A dry run
// counts each once.
func TestPruneRejects(t *testing.T) {
	const body = 1000
	for name, tt := range map[string]struct {
		limits database.Retention
		room   float64 // with MaxBytes: number of rejects for which there is room beside the run
		keep   string
		runs   int64 // removed
	}{
		"number":          {database.Retention{MaxRuns: 1}, 0, "0 1 3 5", 0},
		"young enough":    {database.Retention{MaxAge: 6 * day}, 0, "0 1 3 5", 0},
		"age":             {database.Retention{MaxAge: 2 * day}, 0, "0 1", 0},
		"age of failures": {database.Retention{MaxAge: 2 * day, FailedAge: 9 * day}, 0, "0 1", 0},
		"large enough":    {database.Retention{MaxBytes: 1}, 5, "0 1 3 5", 0},
		"size":            {database.Retention{MaxBytes: 1}, 2.5, "0 1", 0},
		"age, size":       {database.Retention{MaxAge: 4 * day, MaxBytes: 1}, 2.5, "0 1", 0},
		"size, age":       {database.Retention{MaxAge: 2 * day, MaxBytes: 1}, 3.5, "0 1", 0},
		"event by age":    {database.Retention{MaxAge: day / 2, MaxBytes: 1}, 0.9, "", 0},
		"room for no run": {database.Retention{MaxBytes: 1}, -0.1, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ctx := context.Background()
				now, err := db.Now(ctx)
				must(t, err)
				raw := lines(t, events(now, 2, 0))
				_, _, err = db.Add(ctx, "r", raw, database.Meta{})
				must(t, err)
				age := func(table, id string, age time.Duration) {
					execute(t, db, fmt.Sprintf("UPDATE %s SET collected = '%s' WHERE id = '%s'", table, database.Time(now.Add(-age)), id))
				}
				keepMessages(t, db, message("b", "e", stepLine(t, "s", 1, 0)))
				age("agent_messages", "e", day)
				for _, days := range []int{0, 1, 3, 5} {
					keepMessages(t, db, message("b", fmt.Sprint(days), strings.Repeat("x", body)))
					age("agent_rejects", fmt.Sprint(days), time.Duration(days)*day)
				}
				one := numberOf(t, db, "SELECT max(length(body) + length(subject) + length(id) + length(problem)) FROM agent_rejects")
				if tt.limits.MaxBytes > 0 {
					tt.limits.MaxBytes = int64(len(raw)) + int64(tt.room*float64(one))
				}
				var dry database.Pruned
				for i := range 2 {
					got, err := db.Prune(ctx, tt.limits, i == 0)
					if removed := int64(4 - len(strings.Fields(tt.keep))); err != nil || got.Rejects != removed || got.BySize != tt.runs || got.Bytes < removed*body {
						t.Errorf("%+v, error %v", got, err)
					}
					if i == 0 {
						dry = got
					}
					if got != dry {
						t.Errorf("%+v is removed, %+v was said", got, dry)
					}
				}
				kept, err := database.Collect(ctx, db, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
					"SELECT id FROM agent_rejects ORDER BY id")
				if err != nil || strings.Join(kept, " ") != tt.keep {
					t.Errorf("kept %q, error %v, want %q", kept, err, tt.keep)
				}
			})
		})
	}
}
