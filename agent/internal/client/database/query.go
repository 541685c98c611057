package database

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// Collect returns all rows of a query that reads, each as scan returns it. Its errors say what to do, as
// those of a DB.
func Collect[T any](ctx context.Context, db *DB, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	return collect(ctx, db, db.read, scan, query, args...)
}

// collect is Collect in a transaction, or for all connections that read.
func collect[T any](ctx context.Context, db *DB, from querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, db.fault(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has its error
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, db.fault(err)
		}
		all = append(all, one)
	}
	return all, db.fault(rows.Err())
}

// Placeholders returns ($4, $5) for two arguments after three others.
func Placeholders(before, number int) string {
	names := make([]string, number)
	for i := range names {
		names[i] = "$" + strconv.Itoa(before+i+1)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// placeholderRows returns ($1, $2), ($3, $4) for two rows of two columns.
func placeholderRows(rows, columns int) string {
	all := make([]string, rows)
	for i := range all {
		all[i] = Placeholders(i*columns, columns)
	}
	return strings.Join(all, ", ")
}

// OrNull returns the value as an argument of a query, or nil, which is NULL, for the zero value.
func OrNull[T comparable](value T) any {
	if value == *new(T) {
		return nil
	}
	return value
}
