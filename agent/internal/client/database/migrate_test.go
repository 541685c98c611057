package database

import (
	"context"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	tablePattern  = regexp.MustCompile(`(?ms)^CREATE TABLE (\w+) \((.*?)^\)`)
	columnPattern = regexp.MustCompile(`(?m)^    ([a-z_0-9]+) +(TEXT|INTEGER|REAL|BLOB|BIGINT|DOUBLE PRECISION|BYTEA|TIMESTAMPTZ)\b(.*)$`)
	indexPattern  = regexp.MustCompile(`(?m)^CREATE INDEX .*$`)
)

// same are the types that an engine has for one of the other.
var same = map[string]string{"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "BLOB": "BYTEA", "TEXT": "TEXT"}

// schema returns the tables of an engine's migrations with their columns, and the indexes.
func schema(t *testing.T, e Engine) (map[string][]string, []string) {
	t.Helper()
	all, err := readMigrations(e)
	if err != nil {
		t.Fatal(err)
	}
	tables, indexes := map[string][]string{}, []string(nil)
	for _, m := range all {
		for _, table := range tablePattern.FindAllStringSubmatch(m.statements, -1) {
			for _, column := range columnPattern.FindAllStringSubmatch(table[2], -1) {
				kind := column[2]
				if e == SQLite {
					kind = same[kind]
				}
				if kind == "TIMESTAMPTZ" {
					kind = "TEXT" // in a SQLite file
				}
				null := "NULL"
				if strings.Contains(column[3], "NOT NULL") || strings.Contains(column[3], "PRIMARY KEY") {
					null = "NOT NULL"
				}
				tables[table[1]] = append(tables[table[1]], column[1]+" "+kind+" "+null)
			}
		}
		indexes = append(indexes, indexPattern.FindAllString(m.statements, -1)...)
	}
	return tables, indexes
}

// Both engines have the same tables, columns and indexes.
func TestSchemasAreEqual(t *testing.T) {
	tables, indexes := schema(t, SQLite)
	others, otherIndexes := schema(t, PostgreSQL)
	if diff := cmp.Diff(tables, others) + cmp.Diff(indexes, otherIndexes); diff != "" {
		t.Error(diff)
	}
	want := []string{"agent_events", "agent_messages", "agent_rejects", "baselines", "events", "labels", "procedures", "queue", "runs", "steps"}
	if got := slices.Sorted(maps.Keys(tables)); !slices.Equal(got, want) || len(tables["runs"]) != 26 {
		t.Errorf("tables %v, runs has %d columns", got, len(tables["runs"]))
	}
}

// Programs that open a new file at the same time migrate it once.
func TestOpenAtTheSameTime(t *testing.T) {
	place := filepath.Join(t.TempDir(), "runs.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			db, err := Open(context.Background(), place)
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
