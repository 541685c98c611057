package database_test

import (
	"context"
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
