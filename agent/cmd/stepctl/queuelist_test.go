package main

import (
	"bytes"
	"database/sql"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

// A list that is watched is not shown again while it stays as it is, whatever plain SQL has inserted.
func TestWatchedQueueUnchanged(t *testing.T) {
	db := databasetest.Open(t, databasetest.File(t))
	if err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO queue (procedure, board, due, added) VALUES ('door', 'a', '2026-11-30T24:00:00Z', 'now'),
			('door', 'b', '2026-11-30T12:00:00Z', '2026-11-30T11:00:00Z')`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	q := queue.New(db, queue.DefaultLease)
	for _, format := range []listFormat{{}, {json: true}, {csv: true}} {
		list, shown := queueList{format: format}, map[int64]entryRow{}
		for look := range 3 {
			rows, err := list.rows(t.Context(), db, q)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := list.update(&out, rows, shown, look == 0); err != nil {
				t.Fatal(err)
			}
			if (out.Len() > 0) != (look == 0) {
				t.Errorf("%+v: look %d shows %q", format, look, out.String())
			}
		}
	}
}
