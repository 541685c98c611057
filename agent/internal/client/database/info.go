package database

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Info describes a database.
type Info struct {
	// EngineVersion is the version of SQLite or of the server.
	EngineVersion string
	// Schema is the number of the newest migration.
	Schema int64
	// Bytes is the size on disk, of a SQLite file with its write-ahead log.
	Bytes int64
	// Procedures, Versions, Runs, StepResults and Baselines are numbers of rows.
	Procedures, Versions, Runs, StepResults, Baselines int64
	// Running and Interrupted are numbers of runs in that state.
	Running, Interrupted int64
	// AgentEvents are events of agents' records that were collected, of AgentBoards boards. Rejects are
	// messages that were put aside.
	AgentEvents, AgentBoards, Rejects int64
	// First and Last are the starts of the oldest and newest run; zero if there is none.
	First, Last time.Time
}

// describe is DB.Info.
func describe(ctx context.Context, db *DB) (Info, error) {
	var i Info
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return i, db.fault(err)
	}
	i.Schema = int64(version)
	engine := "SELECT sqlite_version()"
	if db.engine == PostgreSQL {
		engine = "SELECT current_setting('server_version')"
	}
	var first, last sql.Null[Time]
	for query, into := range map[string][]any{
		engine: {&i.EngineVersion},
		"SELECT count(DISTINCT name), count(*) FROM procedures": {&i.Procedures, &i.Versions},
		`SELECT count(*), count(CASE WHEN state = 'running' THEN 1 END), count(CASE WHEN state = 'interrupted' THEN 1 END),
			min(started), max(started) FROM runs`: {&i.Runs, &i.Running, &i.Interrupted, &first, &last},
		"SELECT count(*) FROM steps":                                                 {&i.StepResults},
		"SELECT count(*), count(DISTINCT board) FROM agent_events":                   {&i.AgentEvents, &i.AgentBoards},
		"SELECT count(*) FROM agent_rejects":                                         {&i.Rejects},
		"SELECT count(*) FROM (SELECT DISTINCT procedure, name FROM baselines) AS b": {&i.Baselines},
	} {
		if err := db.read.QueryRowContext(ctx, query).Scan(into...); err != nil {
			return i, db.fault(err)
		}
	}
	i.First, i.Last = time.Time(first.V), time.Time(last.V)
	i.Bytes, err = size(ctx, db)
	return i, err
}

// size returns the size on disk in bytes.
func size(ctx context.Context, db *DB) (bytes int64, err error) {
	if db.engine == PostgreSQL {
		err = db.read.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&bytes)
		return bytes, db.fault(err)
	}
	for _, name := range []string{db.place, db.place + "-wal"} {
		file, err := os.Stat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return bytes, err
		}
		if err == nil {
			bytes += file.Size()
		}
	}
	return bytes, nil
}
