package database_test

import (
	"context"
	"fmt"
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
