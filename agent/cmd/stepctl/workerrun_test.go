package main

import (
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/client/worker"
)

// An entry is unsound if no run can have what it says. An error of the database is none of the entry, even if
// the database is not known to be away: the process may have too many open files.
func TestEntryThatCannotBePerformed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		if _, _, err := db.Import(t.Context(), "quick", []byte(`{"test_services": [{"step_id": 1, "timeout": 5}]}`)); err != nil {
			t.Fatal(err)
		}
		p := &performer{db: db, worker: "w", logger: slog.New(slog.DiscardHandler), out: lockedWriter{to: io.Discard}}
		perform := func(procedure, labels string) error {
			claim := &queue.Claim{Entry: queue.Entry{ID: 1, Procedure: procedure, Board: "b", Labels: labels, Attempt: 1}}
			return p.perform(t.Context(), worker.Job{Claim: claim, Board: boards.Board{Name: "b", Address: "127.0.0.1:1"}})
		}
		if err := db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec("ALTER TABLE runs RENAME TO gone"); return err }); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			procedure, labels string
			unsound           bool
		}{
			"no such procedure":          {"none", "", true},
			"a label that no run has":    {"quick", "build=\x01", true},
			"a database that has failed": {"quick", "build=42", false},
		} {
			err := perform(tt.procedure, tt.labels)
			if _, unsound := errors.AsType[*worker.UnsoundError](err); err == nil || unsound != tt.unsound {
				t.Errorf("%s: unsound %t, error %v", name, unsound, err)
			}
		}
	})
}
