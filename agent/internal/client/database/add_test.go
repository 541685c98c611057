package database_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// records writes n records of runs into a folder.
func records(t testing.TB, n, steps int) []string {
	t.Helper()
	folder := t.TempDir()
	var names []string
	for i := range n {
		name := filepath.Join(folder, fmt.Sprintf("%06d.jsonl", i))
		must(t, os.WriteFile(name, lines(t, events(start.Add(time.Duration(i)*time.Second), steps, i%7)), 0o600))
		names = append(names, name)
	}
	return names
}

// Many records are added once each, in any order and as often as they come, and wrong ones do not
// stop the others.
func TestAddFiles(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		names := records(t, 40, 3)
		raw, err := os.ReadFile(names[7])
		must(t, err)
		must(t, os.WriteFile(names[7], raw[:len(raw)/2], 0o600)) // cut: an interrupted run
		must(t, os.WriteFile(names[8], []byte("{}\n"), 0o600))
		must(t, os.WriteFile(names[9], []byte(strings.Replace(string(raw), `"passed"`, `"failed"`, 1)), 0o600))
		names = append(names, filepath.Join(filepath.Dir(names[0]), "none"), names[0])
		for round := range 2 {
			var order []string
			added, failed := 0, 0
			must(t, db.AddFiles(ctx, slices.Values(names), database.Meta{Board: "b"}, func(a database.Added) {
				order = append(order, a.Name)
				switch {
				case a.Err != nil:
					failed++
					if !strings.Contains(a.Err.Error(), a.Name) {
						t.Errorf("%s: error %v", a.Name, a.Err)
					}
				case a.Added:
					added++
				}
			}))
			if want := []int{38, 0}[round]; added != want || failed != 3 || !slices.Equal(order, names) {
				t.Errorf("round %d: %d added, %d failed, in order %t", round, added, failed, slices.Equal(order, names))
			}
		}
		runs, err := db.Runs(ctx, database.Filter{State: database.Interrupted})
		if err != nil || len(runs) != 1 {
			t.Errorf("%d interrupted, error %v", len(runs), err)
		}
		must(t, os.WriteFile(names[7], raw, 0o600))
		must(t, db.AddFiles(ctx, slices.Values(names[7:8]), database.Meta{}, func(a database.Added) {
			if a.Added || a.Err != nil || a.ID != runs[0].ID || stored(t, db, a.ID) != string(raw) {
				t.Errorf("the whole record: %+v", a)
			}
		}))
		if all, err := db.Runs(ctx, database.Filter{}); err != nil || len(all) != 38 || all[0].Board != "b" {
			t.Errorf("%d runs, error %v", len(all), err)
		}
	})
}

// Records that were copied from one, so that all have the same start, are runs of their own.
func TestAddFilesWithOneStart(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		const copies = 500 // of 4096 ids of one start, some are the same
		folder := t.TempDir()
		var names []string
		for i := range copies {
			e := events(start, 2, 0)
			e[0].Start.Session = fmt.Sprintf("copy-%d", i)
			names = append(names, filepath.Join(folder, fmt.Sprintf("%d.jsonl", i)))
			must(t, os.WriteFile(names[i], lines(t, e), 0o600))
		}
		for _, want := range []int{copies, 0} {
			added := 0
			must(t, db.AddFiles(context.Background(), slices.Values(names), database.Meta{}, func(a database.Added) {
				must(t, a.Err)
				if a.Added {
					added++
				}
			}))
			if added != want {
				t.Errorf("%d records are added, want %d", added, want)
			}
		}
	})
}
