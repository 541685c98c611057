package history

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// No query of history reads a whole table, however large the database is.
func TestPlans(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		steps, ids := stepsOf([]database.Run{{ID: "20261130T001422-7f3a9c"}, {ID: "20261130T001423-7f3a9c"}})
		for query, args := range map[string][]any{
			steps: ids, attemptsQuery: {1, ids[0], 5},
		} {
			plan := plan(t, db, query, args)
			t.Log(plan)
			if strings.Contains(plan, "SCAN") || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s: %s", query, plan)
			}
		}
	})
}

// plan returns the plan of a query, of PostgreSQL without scans that are only chosen because the tables
// are empty.
func plan(t *testing.T, db *database.DB, query string, args []any) string {
	t.Helper()
	ctx := context.Background()
	conn, err := db.Read().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	explain := "EXPLAIN QUERY PLAN "
	if db.Engine() == database.PostgreSQL {
		explain = "EXPLAIN "
		if _, err := conn.ExecContext(ctx, "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off"); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.QueryContext(ctx, explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(*values[len(values)-1].(*any)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
