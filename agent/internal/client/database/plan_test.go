package database_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// filters are the lists that must be fast in a large database, with the index that serves each.
var filters = map[string]struct {
	filter database.Filter
	index  string
}{
	"all":       {database.Filter{}, "runs"},
	"page":      {database.Filter{Before: "20261130T001422-7f3a9c"}, "runs"},
	"time":      {database.Filter{Since: start.Add(-time.Hour), Until: start.Add(time.Hour)}, "runs"},
	"procedure": {database.Filter{Procedure: "p1"}, "runs_procedure"},
	"procedure and time": {database.Filter{Procedure: "p1", Since: start, Before: "20261130T001422-7f3a9c"},
		"runs_procedure"},
	"board":          {database.Filter{Board: "b1"}, "runs_board"},
	"verdict":        {database.Filter{Verdict: "fail"}, "runs_verdict"},
	"rare kind":      {database.Filter{Kind: database.KindLoad}, "runs"},
	"rare state":     {database.Filter{State: database.Interrupted}, "runs"},
	"two conditions": {database.Filter{Board: "b1", Verdict: "fail", Procedure: "p1"}, "runs_"},
	"label":          {database.Filter{Labels: map[string]string{"build": "7"}}, "labels_value"},
	"label of many": {database.Filter{Labels: map[string]string{"suite": "night"}},
		"labels_value"},
}

// plan returns what the engine says about a query.
func plan(t *testing.T, db *database.DB, query string, args []any) string {
	t.Helper()
	ctx := context.Background()
	conn, err := db.Read().Conn(ctx)
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	explain, columns := "EXPLAIN QUERY PLAN ", 4
	if db.Engine() == database.PostgreSQL {
		explain, columns = "EXPLAIN ", 1
		// A small table is scanned although an index serves; these say that it is large.
		_, err := conn.ExecContext(ctx, "SET enable_seqscan = off")
		must(t, err)
		_, err = conn.ExecContext(ctx, "SET enable_sort = off")
		must(t, err)
		defer func() { _, _ = conn.ExecContext(ctx, "RESET ALL") }()
	}
	rows, err := conn.QueryContext(ctx, explain+query, args...)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	var lines []string
	for rows.Next() {
		row := make([]sql.NullString, columns)
		into := make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		must(t, rows.Scan(into...))
		lines = append(lines, row[columns-1].String)
	}
	must(t, rows.Err())
	return strings.Join(lines, "\n")
}

// Each list reads an index in its order: no list sorts all runs, or reads the whole table before its
// first row.
func TestListsUseIndexes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for name, tt := range filters {
			query, args := tt.filter.Query()
			got := plan(t, db, query, args)
			sorts := strings.Contains(got, "TEMP B-TREE") || strings.Contains(got, "Sort ") && !strings.HasPrefix(name, "label")
			if sorts || strings.Contains(got, "Seq Scan on runs") || !strings.Contains(got, tt.index) {
				t.Errorf("%s: the index %s is not used, or rows are sorted:\n%s", name, tt.index, got)
			}
		}
	})
}
