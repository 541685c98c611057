package database

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"
	"time"
)

// A CollectedFilter selects events of agents' records. The zero value of a field selects all.
type CollectedFilter struct {
	// Kind is a kind of event, as auditlog.Kind.
	Kind string
	// Board and Session are names, Fleet that of a fleet.
	Board, Session, Fleet string
	// Since and Until are limits of the agent's wall clock: at Since or later, and before Until.
	Since, Until time.Time
	// NotPassed selects steps with an error code, and sessions with another verdict than pass.
	NotPassed bool
	// Limit is the number of events, the newest of those that are selected; 0 for all.
	Limit int
}

// A Collected is an event of an agent's record.
type Collected struct {
	Board string
	// At is the agent's wall clock.
	At    time.Time
	Fleet string
	// Line is the event as the agent wrote it: a line of package auditlog without its newline.
	Line string
}

// query returns the statement of the filter, in the order of time.
func (f CollectedFilter) query() (string, []any) {
	var conditions []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	for _, equal := range []struct{ column, value string }{{"kind", f.Kind}, {"board", f.Board}, {"session", f.Session}, {"fleet", f.Fleet}} {
		if equal.value != "" {
			add(equal.column+" =", equal.value)
		}
	}
	if !f.Since.IsZero() {
		add("at >=", Time(f.Since))
	}
	if !f.Until.IsZero() {
		add("at <", Time(f.Until))
	}
	if f.NotPassed {
		conditions = append(conditions, "(error_code <> 0 OR verdict <> 'pass')")
	}
	query := "SELECT board, at, digest, fleet, line FROM agent_events"
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	if f.Limit > 0 {
		query = fmt.Sprintf("SELECT board, at, digest, fleet, line FROM (%s ORDER BY at DESC, board DESC, digest DESC LIMIT %d) AS newest", query, f.Limit)
	}
	return query + " ORDER BY at, board, digest", args
}

// CollectedEvents returns the events of a filter in the order of their time, as they are read. The first
// error ends them.
func (db *DB) CollectedEvents(ctx context.Context, f CollectedFilter) iter.Seq2[Collected, error] {
	return func(yield func(Collected, error) bool) {
		query, args := f.query()
		rows, err := db.read.QueryContext(ctx, query, args...)
		if err != nil {
			yield(Collected{}, db.fault(err))
			return
		}
		defer func() { _ = rows.Close() }() // rows.Err has its error
		for rows.Next() {
			c, err := scanCollected(rows)
			if !yield(c, db.fault(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Collected{}, db.fault(err))
		}
	}
}

func scanCollected(rows *sql.Rows) (c Collected, err error) {
	var at Time
	var digest string
	err = rows.Scan(&c.Board, &at, &digest, &c.Fleet, &c.Line)
	c.At = time.Time(at)
	return c, err
}
