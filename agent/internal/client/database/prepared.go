package database

import (
	"context"
	"database/sql"
	"fmt"
)

// A querier is a transaction, an *sql.Tx or a *preparedTx, or an *sql.DB.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// A preparedTx prepares each statement once: for SQLite, preparing takes longer than executing. The
// statements are closed with the transaction.
type preparedTx struct {
	tx         *sql.Tx
	statements map[string]*sql.Stmt
}

// prepare returns the prepared statement of a query.
func (p *preparedTx) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := p.statements[query]; s != nil {
		return s, nil
	}
	s, err := p.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%.60s: %w", query, err)
	}
	p.statements[query] = s
	return s, nil
}

// ExecContext executes a statement.
func (p *preparedTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext returns the rows of a query.
func (p *preparedTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// QueryRowContext returns the row of a query.
func (p *preparedTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := p.prepare(ctx, query)
	if err != nil {
		return p.tx.QueryRowContext(ctx, query, args...) // which has the same error
	}
	return s.QueryRowContext(ctx, args...)
}
