// Package databasetest opens empty databases for tests, on each engine that is at hand: SQLite
// always, PostgreSQL when POSTGRES_TEST_URL has the URL of a server on which databases may be
// created.
package databasetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// Server is the environment variable with the URL of PostgreSQL.
const Server = "POSTGRES_TEST_URL"

// Each runs a test on an empty database of each engine, as a subtest named after the engine.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	EachPlace(t, func(t *testing.T, place string) { test(t, Open(t, place)) })
}

// EachPlace runs a test with the place of an empty database of each engine, which is removed at its
// end.
func EachPlace(t *testing.T, test func(t *testing.T, place string)) {
	t.Helper()
	t.Run(string(database.SQLite), func(t *testing.T) { test(t, File(t)) })
	if os.Getenv(Server) != "" {
		t.Run(string(database.PostgreSQL), func(t *testing.T) { test(t, Create(t)) })
	}
}

// File returns the name of a SQLite file that does not exist yet.
func File(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "runs.db")
}

// Open opens a database until the end of the test.
func Open(tb testing.TB, place string) *database.DB {
	tb.Helper()
	db, err := database.Open(context.Background(), place)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// Create creates an empty database on the server that Server names until the end of the test, and
// returns its URL.
func Create(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv(Server)
	at, err := url.Parse(server)
	if err != nil {
		tb.Fatal("the URL of the server cannot be read") // it may have a password
	}
	name := "stepctl_" + randomName()
	execute(tb, server, "CREATE DATABASE "+name)
	tb.Cleanup(func() { execute(tb, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	at.Path = "/" + name
	return at.String()
}

func execute(tb testing.TB, server, statement string) {
	tb.Helper()
	admin, err := sql.Open("pgx", server)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = admin.Close() }() // the statement is done
	if _, err := admin.ExecContext(context.Background(), statement); err != nil {
		tb.Fatal(err)
	}
}

// randomName returns letters and digits that a new database may have in its name.
func randomName() string { return strings.ToLower(rand.Text()) }
