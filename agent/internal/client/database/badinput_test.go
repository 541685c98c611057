package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// refused checks that a place cannot be opened, and what the error says.
func refused(t *testing.T, place, want string) {
	t.Helper()
	db, err := database.Open(context.Background(), place)
	if err == nil {
		must(t, db.Close())
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ";") {
		t.Errorf("%s: error %v, want %q and what to do", place, err, want)
	}
}

// newFile makes a SQLite file of stepctl, with a change by plain SQL, and returns its name.
func newFile(t *testing.T, statement string) string {
	t.Helper()
	place := databasetest.File(t)
	db, err := database.Open(context.Background(), place)
	must(t, err)
	must(t, db.SetSchema(context.Background(), statement))
	must(t, db.Close())
	return place
}

func TestFilesThatAreRefused(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	must(t, os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600))
	foreign := filepath.Join(folder, "foreign.db")
	other, err := sql.Open("sqlite", foreign)
	must(t, err)
	_, err = other.Exec("CREATE TABLE theirs (x)")
	must(t, errors.Join(err, other.Close()))
	before, err := os.ReadFile(foreign)
	must(t, err)
	cut := newFile(t, "PRAGMA user_version")
	info, err := os.Stat(cut)
	must(t, err)
	must(t, os.Truncate(cut, info.Size()/2))

	refused(t, "", "no database is named")
	refused(t, "mysql://host/x", "mysql:// is no database")
	refused(t, folder, "it is a directory")
	refused(t, filepath.Join(folder, "none", "x.db"), "its folder does not exist")
	refused(t, os.DevNull, "it is no regular file")
	refused(t, text, "is no SQLite file")
	refused(t, foreign, "belongs to another program")
	refused(t, newFile(t, "PRAGMA application_id = 7"), "belongs to another program")
	refused(t, newFile(t, "PRAGMA user_version = 99"), "has schema 99 and this stepctl knows 2; install a newer stepctl")
	refused(t, cut, "is damaged")
	if after, err := os.ReadFile(foreign); err != nil || string(after) != string(before) {
		t.Errorf("the file of another program was changed, error %v", err)
	}
}

// A file may have any name.
func TestFileNames(t *testing.T) {
	for _, name := range []string{"a?mode=ro", "50%25 #1", "file:x", "한글.db", "-v", "a b;c"} {
		place := filepath.Join(t.TempDir(), name)
		databasetest.Open(t, place)
		if _, err := os.Stat(place); err != nil {
			t.Error(err)
		}
	}
}

// A writer that waits for another program too long says so.
func TestLockedFile(t *testing.T) {
	ctx := context.Background()
	place := databasetest.File(t)
	db, other := databasetest.Open(t, place), databasetest.Open(t, place)
	must(t, db.Write(ctx, func(tx *sql.Tx) error { _, err := tx.Exec("PRAGMA busy_timeout = 20"); return err }))
	must(t, other.Write(ctx, func(*sql.Tx) error {
		_, _, err := db.Import(ctx, "night", []byte(`{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`))
		if !errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "is locked by another program") {
			t.Errorf("error %v", err)
		}
		return nil
	}))
	_, err := db.Read().Exec("DELETE FROM runs")
	if err = db.Fault(err); err == nil || errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "is read-only; make the file and its folder writable") {
		t.Errorf("a reader that writes: %v", err)
	}
}

// No error has a password, wherever the URL is wrong.
func TestURLsThatAreRefused(t *testing.T) {
	for place, want := range map[string]string{
		"postgres://u:s3cret@127.0.0.1:1/x":                 "cannot reach the database postgres://u@127.0.0.1:1/x: connect: connection refused",
		"postgres://u:s3cret@127.0.0.1:port/x":              "the URL of the database cannot be read",
		"postgres://u:s3cret@127.0.0.1:1/x?sslmode=maybe":   "the URL of the database cannot be read",
		"postgres://u:s3cret %zz@127.0.0.1/x":               "the URL of the database cannot be read",
		"postgresql://u:s3cret@nowhere.invalid/x":           "cannot reach the database postgres://u@nowhere.invalid:5432/x",
		"postgres://u@127.0.0.1:1/x?password=s3cret":        "cannot reach the database",
		"postgres://u:s3cret@127.0.0.1:1/x?sslmode=disable": "connection refused",
	} {
		refused(t, place, want)
		if _, err := database.Open(context.Background(), place); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error %v", err)
		}
	}
}

// What a server answers becomes a sentence.
func TestServerErrors(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for code, want := range map[string]string{
			"28P01": "refuses the user or the password", "28000": "refuses the user", "3D000": "does not exist; create it with createdb",
			"42501": "grant the user the right", "25006": "is read-only", "53100": "has no room", "53300": "has no room",
			"57P01": "is shutting down", "57P03": "is shutting down or starting", "40P01": "is in use",
		} {
			err := db.Fault(&pgconn.PgError{Code: code, Message: "why"})
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", code, err)
			}
			if away := errors.Is(err, database.ErrAway); away != slices.Contains([]string{"53", "57", "40"}, code[:2]) {
				t.Errorf("%s: away %t", code, away)
			}
		}
		if err := db.CheckVersion(120014, "12.14"); err == nil || !strings.Contains(err.Error(), "has PostgreSQL 12.14; stepctl needs 13 or later") {
			t.Errorf("error %v", err)
		}
	})
}

// Names that people give are checked, and names in records are stored as both engines can.
func TestHostileNames(t *testing.T) {
	long := strings.Repeat("가", 100)
	for name, want := range map[string]string{
		"": "has no name", long: "has 300 bytes; at most 200", "a\x00b": "control characters", "\xff": "is not UTF-8",
		"a" + " ": "begins or ends with a space", "a\nb": "control characters", "a@2": "separates name and version",
	} {
		if err := database.CheckProcedureName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		all := events(start, 2, 1)
		all[0].Start.Procedure.Name = `C:\runs\` + long + "\x00'; DROP TABLE runs; --.json"
		all[0].Start.Session = "\x00\x1b[31m"
		all[2].Reply.Reason = "\x00why"
		id, added, err := db.Add(ctx, "r", lines(t, all), database.Meta{Board: "'\"; --"})
		if err != nil || !added {
			t.Fatal(err)
		}
		run, err := db.Run(ctx, id)
		if err != nil || len(run.Procedure) > database.MaxNameBytes || !strings.HasPrefix(run.Procedure, "가") || run.Board != "'\"; --" {
			t.Errorf("%+v, error %v", run, err)
		}
		if wrong, err := db.Check(ctx, id); err != nil || len(wrong) > 0 {
			t.Errorf("%q, error %v", wrong, err)
		}
		if stored(t, db, id) != string(lines(t, all)) {
			t.Error("the record differs")
		}
		for _, m := range []database.Meta{{Board: "a\x00"}, {Labels: map[string]string{"k": "\xff"}}, {Labels: map[string]string{"a=b": "c"}},
			{ID: "../x"}, {Kind: "other"}, {Board: long}} {
			if r, err := db.Begin(ctx, m, nil); err == nil {
				t.Errorf("%+v was stored", m)
				must(t, r.Close())
			}
		}
	})
}
