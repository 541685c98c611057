package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// attemptsQuery reads the runs that an entry of the queue asked for before a run, the newest first.
const attemptsQuery = "SELECT id FROM runs WHERE entry = $1 AND id < $2 ORDER BY id DESC LIMIT $3"

// Attempts returns the earlier attempts at the same performance of an entry of the queue, the oldest
// first; none for a run that is the first, or that no entry asked for. An attempt whose worker was killed
// before its run began has no run.
func Attempts(ctx context.Context, db *database.DB, run database.Run) (attempts []database.Run, err error) {
	if run.Entry == 0 || run.Attempt < 2 {
		return nil, nil
	}
	ids, err := database.Collect(ctx, db, func(rows *sql.Rows) (id string, err error) {
		err = rows.Scan(&id)
		return id, err
	},
		attemptsQuery, run.Entry, run.ID, min(run.Attempt-1, MaxRuns))
	if err != nil {
		return nil, fmt.Errorf("cannot read the attempts: %w", err)
	}
	next := run
	for _, id := range ids {
		attempt, err := db.Run(ctx, id)
		if err != nil {
			return nil, err
		}
		if attempt.Attempt >= next.Attempt || performs(attempt) {
			break // it is of the performance before
		}
		attempts = append(attempts, attempt)
		next = attempt
	}
	slices.Reverse(attempts)
	return attempts, nil
}

// performs reports whether no further attempt follows a run, as the queue has it.
func performs(run database.Run) bool {
	return run.State == database.Ended && run.Cause != string(record.Interrupted)
}

// A Measure is one measure of a load test.
type Measure struct {
	Key
	Point
}

// Measures returns the measures of a load test; none if it has no result.
func Measures(run database.Run) (measures []Measure) {
	t := &table{points: map[Key][]Point{}}
	t.addLoad(run)
	for _, key := range loadKeys() {
		for _, p := range t.points[key] {
			measures = append(measures, Measure{key, p})
		}
	}
	return measures
}
