package database

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Channel is a part of the database whose changes can be listened to.
type Channel string

// The channels. The triggers of PostgreSQL notify them.
const (
	QueueChannel Channel = "stepctl_queue"
	RunsChannel  Channel = "stepctl_runs"
)

const (
	// pollInterval is the time between two looks at a SQLite file.
	pollInterval = 250 * time.Millisecond
	// relistenInterval is the time between two attempts to listen to PostgreSQL again.
	relistenInterval = time.Second
)

// listen is DB.Listen.
func listen(ctx context.Context, db *DB, c Channel) (<-chan struct{}, error) {
	wake := make(chan struct{}, 1)
	if db.engine == PostgreSQL {
		conn, err := listenTo(ctx, db, c)
		if err != nil {
			return nil, err
		}
		go listenPostgres(ctx, db, c, conn, wake)
		return wake, nil
	}
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return nil, db.fault(err)
	}
	go pollSQLite(ctx, conn, wake)
	return wake, nil
}

// notify wakes the listener, unless it has a wake-up that it has not taken yet.
func notify(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// pollSQLite compares the version of the data, which changes with each commit of another connection.
func pollSQLite(ctx context.Context, conn *sql.Conn, wake chan struct{}) {
	defer close(wake)
	defer func() { _ = conn.Close() }() // back to its pool
	look := time.NewTicker(pollInterval)
	defer look.Stop()
	for last := int64(-1); ; {
		var version int64
		err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version)
		if err == nil && version != last {
			last = version
			notify(wake)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// listenTo returns a connection of its own that listens.
func listenTo(ctx context.Context, db *DB, c Channel) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, db.config.Copy())
	if err != nil {
		return nil, db.fault(err)
	}
	if _, err := conn.Exec(ctx, "LISTEN "+string(c)); err != nil {
		_ = conn.Close(ctx) // it is of no use
		return nil, db.fault(err)
	}
	return conn, nil
}

// listenPostgres waits for notifications, and connects again when the connection is lost.
func listenPostgres(ctx context.Context, db *DB, c Channel, conn *pgx.Conn, wake chan struct{}) {
	defer close(wake)
	for {
		if conn != nil {
			notify(wake)
			for {
				if _, err := conn.WaitForNotification(ctx); err != nil {
					break
				}
				notify(wake)
			}
			_ = conn.Close(context.WithoutCancel(ctx)) // lost, or not needed any more
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(relistenInterval):
		}
		conn, _ = listenTo(ctx, db, c) // tried again until the context ends
	}
}
