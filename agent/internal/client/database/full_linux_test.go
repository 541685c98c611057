package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// A run goes on while neither the database nor the file for its events takes anything. All is stored once when
// there is space again, during the run or at its end.
func TestFullDisks(t *testing.T) {
	if databasetest.RunsAlone(t) {
		return
	}
	for _, test := range []struct {
		name  string
		retry time.Duration
	}{{"during the run", 50 * time.Millisecond}, {"at the end", time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			folder := stateFolder(t)
			ctx := context.Background()
			db := databasetest.Open(t, databasetest.File(t))
			db.SetRetry(test.retry)
			said := make(chan error, 1000)
			r, err := db.Begin(ctx, database.Meta{Board: "b"}, func(err error) { said <- err })
			must(t, err)
			all := events(start, 100, 0)
			lift := databasetest.LimitFiles(t, 10_000)
			write(t, r, all[:10]...)
			if err := <-said; !errors.Is(err, database.ErrAway) {
				t.Errorf("said %v", err)
			}
			_, err = r.Write(lines(t, all)[len(lines(t, all[:10])):len(lines(t, all[:250]))])
			must(t, err)
			for !errors.Is(<-said, unix.EFBIG) { // the file is full too
			}
			write(t, r, all[250:260]...)
			eventually(t, "another file", func() bool { return len(waiting(t, folder)) > 1 })
			lift()
			next := 260
			if test.retry > time.Minute {
				t.Setenv("XDG_STATE_HOME", "/dev/null") // so that there is no other file
			} else {
				time.Sleep(2 * test.retry) // so that the next event finds the database
				eventually(t, "the database is back", func() bool {
					write(t, r, all[next])
					next++
					return len(waiting(t, folder)) == 0
				})
			}
			write(t, r, all[next:]...)
			must(t, r.Close())
			if diff := cmp.Diff(string(lines(t, all)), stored(t, db, r.ID())); diff != "" {
				t.Errorf("the record differs: %.300s", diff)
			}
			if wrong, err := db.Check(ctx, r.ID()); err != nil || len(wrong) > 0 {
				t.Errorf("%q, error %v", wrong, err)
			}
			if files := waiting(t, folder); len(files) > 0 {
				t.Errorf("%v wait", files)
			}
		})
	}
}
