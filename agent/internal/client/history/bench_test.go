package history_test

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
)

// fill adds 10,000 runs of 100 steps by ten procedures on seven boards, by plain SQL.
func fill(b *testing.B, db *database.DB) {
	b.Helper()
	ctx := context.Background()
	text := "printf('%s', n)"
	pad := "printf('2026%02d%02dT%02d%02d%02d-%06x', 1 + n / 1000, 1 + n / 40 % 28, n % 24, n / 24 % 60, n % 60, n)"
	started := "printf('2026-%02d-%02dT%02d:%02d:%02d.000000Z', 1 + n / 1000, 1 + n / 40 % 28, n % 24, n / 24 % 60, n % 60)"
	noise := "((n * 7919 + s * 104729 + n * s * 31) % 1000)"
	if db.Engine() == database.PostgreSQL {
		text = "n::text"
		pad = "to_char(timestamp '2026-01-01' + n * interval '7 minutes', 'YYYYMMDD\"T\"HH24MISS') || '-' || lpad(to_hex(n), 6, '0')"
		started = "timestamptz '2026-01-01' + n * interval '7 minutes'"
	}
	for _, statement := range []string{
		`INSERT INTO runs (id, kind, procedure, procedure_sha256, board, started, seen, state, cause, verdict, duration, steps, passed)
			WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 9999)
			SELECT ` + pad + `, 'run', 'p' || (n % 10), 'aa', 'b' || (n % 7), ` + started + `, ` + started + `, 'ended', 'finished', CASE WHEN n % 9 = 0 THEN 'fail' ELSE 'pass' END, 12.5, 100, 100 FROM number`,
		`INSERT INTO labels (run, key, value) WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 9999)
			SELECT ` + pad + `, 'build', ` + text + ` FROM number`,
		`INSERT INTO steps (run, idx, step_id, timeout, "interval", outcome, sent_at, took)
			WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 9999),
			step(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM step WHERE s < 100)
			SELECT ` + pad + `, s, s, 2, 0, CASE WHEN ` + noise + ` = 0 THEN 'timed_out' ELSE 'passed' END, s, 0.01 * s * (1 + ` + noise + ` / 10000.0) FROM number, step`,
		`ANALYZE`,
	} {
		if err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// With 1,000,000 step results, each list and each trend takes less than 200 ms.
func BenchmarkMillionSteps(b *testing.B) {
	places := []string{databasetest.File(b)}
	if server := os.Getenv("STEPCTL_BENCH_POSTGRES"); server != "" {
		places = append(places, server) // an empty database
	}
	ctx := context.Background()
	for _, place := range places {
		db := databasetest.Open(b, place)
		fill(b, db)
		must := func(b *testing.B, err error) {
			b.Helper()
			if err != nil {
				b.Fatal(err)
			}
		}
		for name, read := range map[string]func() error{
			"list": func() error {
				_, err := db.Runs(ctx, database.Filter{})
				return err
			},
			"list by filters": func() error {
				_, err := db.Runs(ctx, database.Filter{Procedure: "p3", Board: "b2", Verdict: "fail"})
				return err
			},
			"list by label": func() error {
				_, err := db.Runs(ctx, database.Filter{Labels: map[string]string{"build": "4711"}})
				return err
			},
			"trend": func() error {
				_, err := history.ReadTrend(ctx, db, history.Query{Procedure: "p3"}, statistics.Defaults)
				return err
			},
			"trend of 200 runs": func() error {
				_, err := history.ReadTrend(ctx, db, history.Query{Procedure: "p3", Last: 200}, statistics.Defaults)
				return err
			},
		} {
			b.Run(string(db.Engine())+"/"+name, func(b *testing.B) {
				for b.Loop() {
					must(b, read())
				}
			})
		}
	}
}
