package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// benchPlace is where benchmarks keep their database: a file, or PostgreSQL if it is set.
func benchPlace(b *testing.B) string {
	b.Helper()
	if os.Getenv(databasetest.Server) != "" {
		return databasetest.Create(b)
	}
	return databasetest.File(b)
}

// generate yields n records of 20 steps one after the other, in one file that is overwritten. Each
// has another start, and one of five boards.
func generate(b *testing.B, n int) iter.Seq2[int, []byte] {
	template := string(lines(b, events(start, 20, 0)))
	failed := string(lines(b, events(start, 20, 11)))
	stamp := start.Format(time.RFC3339Nano)
	return func(yield func(int, []byte) bool) {
		for i := range n {
			text := template
			if i%10 == 0 {
				text = failed
			}
			at := start.Add(time.Duration(i) * time.Minute).Format(time.RFC3339Nano)
			if !yield(i, []byte(strings.Replace(text, stamp, at, 1))) {
				return
			}
		}
	}
}

// BenchmarkAddFiles adds 10,000 records of 20 steps. It must take less than a minute.
func BenchmarkAddFiles(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		folder := b.TempDir()
		var names []string
		for i, raw := range generate(b, 10_000) {
			names = append(names, filepath.Join(folder, fmt.Sprint(i)))
			must(b, os.WriteFile(names[i], raw, 0o600))
		}
		db := databasetest.Open(b, benchPlace(b))
		b.StartTimer()
		began := time.Now()
		n, most := 0, uint64(0)
		must(b, db.AddFiles(context.Background(), func(yield func(string) bool) {
			for _, name := range names {
				if !yield(name) {
					return
				}
			}
		}, database.Meta{Board: "b"}, func(a database.Added) {
			must(b, a.Err)
			if n++; n%1000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}))
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "records/s")
		b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
	}
}

// million fills a file with 50,000 runs of 20 steps, two labels and two rows of events each.
const million = `
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49999)
INSERT INTO runs (id, procedure, board, started, seen, state, cause, verdict, duration, steps, passed, failed, record_sha256)
SELECT strftime('%Y%m%dT%H%M%S', 1764547200 + i * 600, 'unixepoch') || printf('-%06x', i), 'p' || (i % 20), 'b' || (i % 7),
	strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1764547200 + i * 600, 'unixepoch'), '2026-11-30T00:00:00.000000Z', 'ended', 'finished',
	CASE WHEN i % 50 = 0 THEN 'fail' ELSE 'pass' END, 1.5, 20, 20, 0, 'sum' || i FROM n;
INSERT INTO labels SELECT id, 'suite', 'night' FROM runs;
INSERT INTO labels SELECT id, 'build', CAST(rowid_ % 500 AS TEXT) FROM (SELECT id, row_number() OVER (ORDER BY id) AS rowid_ FROM runs);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
INSERT INTO steps (run, idx, step_id, timeout, interval, outcome, sent_at, took, kept)
SELECT id, i, i, 5, 1, 'passed', i, 0.001 * i, 1 FROM runs, n;
INSERT INTO events SELECT id, 1, printf('%1000s', '') || char(10) FROM runs;`

// pageLimit is how long a page of a list may take.
const pageLimit = 200 * time.Millisecond

// BenchmarkMillion times a page of each list in a file with 1,000,000 results of steps, and fails if
// one takes longer than pageLimit.
func BenchmarkMillion(b *testing.B) {
	ctx := context.Background()
	db := databasetest.Open(b, databasetest.File(b))
	must(b, db.Write(ctx, func(tx *sql.Tx) error { _, err := tx.ExecContext(ctx, million); return err }))
	for name, tt := range filters {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			rows := 0
			for b.Loop() {
				runs, err := db.Runs(ctx, tt.filter)
				must(b, err)
				rows = len(runs)
			}
			page := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(float64(page)/float64(pageLimit), "of-limit")
			if page > pageLimit {
				b.Errorf("a page takes %v, longer than %v", page, pageLimit)
			}
		})
	}
}
