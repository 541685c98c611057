package database_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// woken waits for a wake-up, which must come within the second that workers promise.
func woken(t *testing.T, wake <-chan struct{}, what string) {
	t.Helper()
	select {
	case _, open := <-wake:
		if !open {
			t.Fatalf("%s: the channel is closed", what)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s: no wake-up", what)
	}
}

func insertEntry(t *testing.T, db *database.DB) {
	t.Helper()
	must(t, db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO queue (procedure, board) VALUES ('success', 'bench-7')")
		return err
	}))
}

// A row that another program inserts by plain SQL wakes the listener.
func TestListen(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		db, other := databasetest.Open(t, place), databasetest.Open(t, place)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		wake, err := db.Listen(ctx, database.QueueChannel)
		must(t, err)
		woken(t, wake, "the beginning")
		insertEntry(t, other)
		woken(t, wake, "of another program")
		insertEntry(t, db)
		woken(t, wake, "of this program")
		cancel()
		for end := time.After(time.Minute); ; {
			select {
			case _, open := <-wake:
				if !open {
					return
				}
			case <-end:
				t.Fatal("the channel stays open")
			}
		}
	})
}
