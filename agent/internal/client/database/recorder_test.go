package database_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// stateFolder makes a folder for waiting files, and returns it.
func stateFolder(t *testing.T) string {
	t.Helper()
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	return filepath.Join(state, "stepctl")
}

// waiting returns the files that wait.
func waiting(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*"))
	must(t, err)
	return paths
}

// write writes events to a recorder.
func write(t *testing.T, r *database.Recorder, events ...record.Event) {
	t.Helper()
	w := record.NewWriter(r)
	for _, e := range events {
		must(t, w.Write(e))
	}
}

// A run that is not closed with its end is interrupted, and undecided.
func TestRunWithoutAnEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		all := events(start, 3, 0)
		r, err := db.Begin(ctx, database.Meta{Board: "b"}, nil)
		must(t, err)
		write(t, r, all[:4]...)
		must(t, r.Close())
		must(t, r.Close())
		run, err := db.Run(ctx, r.ID())
		if err != nil || run.State != database.Interrupted || run.Verdict != "undecided" || run.Passed != 1 || run.Undecided != 2 || run.RecordSHA256 != "" {
			t.Errorf("%+v, error %v", run, err)
		}
		if _, err := r.Write([]byte("x\n")); err == nil {
			t.Error("a closed recorder takes lines")
		}
		// The record of the same run has more, and completes it.
		id, added, err := db.Add(ctx, "run.jsonl", lines(t, all), database.Meta{})
		if err != nil || added || id != r.ID() {
			t.Errorf("%s, added %t, error %v", id, added, err)
		}
		run, err = db.Run(ctx, r.ID())
		if err != nil || run.State != database.Ended || run.Verdict != "pass" || stored(t, db, r.ID()) != string(lines(t, all)) {
			t.Errorf("%+v, error %v", run, err)
		}
	})
}

// A run of which nothing was seen for too long was killed. If it was not, it takes its place again.
func TestMarkInterrupted(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		ctx := context.Background()
		db := databasetest.Open(t, place)
		r, err := db.Begin(ctx, database.Meta{}, nil)
		must(t, err)
		all := events(start, 1, 0)
		write(t, r, all[0])
		for stored(t, db, r.ID()) == "" {
			time.Sleep(10 * time.Millisecond)
		}
		if n, err := db.MarkInterrupted(ctx); n != 0 || err != nil {
			t.Errorf("%d runs, error %v", n, err)
		}
		must(t, db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE runs SET seen = $1", database.Time(start))
			return err
		}))
		other := databasetest.Open(t, place)
		if run, err := other.Run(ctx, r.ID()); err != nil || run.State != database.Interrupted {
			t.Errorf("%+v, error %v", run, err)
		}
		write(t, r, all[1:]...)
		must(t, r.Close())
		if run, err := other.Run(ctx, "last"); err != nil || run.State != database.Ended || run.Verdict != "pass" {
			t.Errorf("%+v, error %v", run, err)
		}
	})
}

// A database that is full stops no run: the events wait in a file and are taken in once.
func TestFullDatabase(t *testing.T) {
	folder := stateFolder(t)
	ctx := context.Background()
	db := databasetest.Open(t, databasetest.File(t))
	limit := func(pages string) {
		must(t, db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "PRAGMA max_page_count = "+pages)
			return err
		}))
	}
	said := make(chan error, 10)
	r, err := db.Begin(ctx, database.Meta{Board: "b"}, func(err error) { said <- err })
	must(t, err)
	limit("1") // of what it has
	all := events(start, 2000, 0)
	write(t, r, all[:3000]...)
	err = <-said
	if !errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), folder) {
		t.Errorf("said %v", err)
	}
	write(t, r, all[3000:]...)
	if err := r.Close(); !errors.Is(err, database.ErrWaiting) {
		t.Errorf("error %v", err)
	}
	if files := waiting(t, folder); len(files) != 1 || len(said) > 0 {
		t.Errorf("%v wait", files)
	}
	limit("1000000")
	result, err := db.Sync(ctx)
	if err != nil || result.Files != 1 || result.Lines == 0 || len(result.Problems) > 0 {
		t.Errorf("%+v, error %v", result, err)
	}
	if diff := cmp.Diff(string(lines(t, all)), stored(t, db, r.ID())); diff != "" {
		t.Errorf("the record differs: %.300s", diff)
	}
	if run, err := db.Run(ctx, r.ID()); err != nil || run.Verdict != "pass" || run.State != database.Ended || run.Board != "b" {
		t.Errorf("%+v, error %v", run, err)
	}
	if files := waiting(t, folder); len(files) != 0 {
		t.Errorf("%v still wait", files)
	}
}

// leave leaves lines of a run in a file that waits.
func leave(t *testing.T, folder string, h spool.Header, lines []byte) {
	t.Helper()
	f, err := spool.Create(folder, h)
	must(t, err)
	_, err = f.Append(lines)
	must(t, errors.Join(err, f.Close()))
}

// A file of which some lines are stored already, or that is there twice, is stored once. Files of
// another database and files that are damaged stay.
func TestSyncStoresOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		folder := stateFolder(t)
		ctx := context.Background()
		raw := lines(t, events(start, 5, 2))
		h := spool.Header{Place: db.Name(), Run: database.NewID(start), First: 1, Meta: []byte(`{"board":"b","labels":{"k":"v"}}`)}
		leave(t, folder, h, raw)
		leave(t, folder, h, raw[:len(raw)/2])
		leave(t, folder, h, raw)
		other := h
		other.Place = "/srv/other.db"
		leave(t, folder, other, raw)
		must(t, os.WriteFile(filepath.Join(folder, "damaged.spool"), []byte("{}\n"), 0o600))
		result, err := db.Sync(ctx)
		if err != nil || result.Files != 3 || result.Lines != int64(strings.Count(string(raw), "\n")) || len(result.Problems) != 1 {
			t.Errorf("%+v, error %v", result, err)
		}
		if left := waiting(t, folder); len(left) != 2 {
			t.Errorf("%v wait", left)
		}
		run, err := db.Run(ctx, h.Run)
		if err != nil || stored(t, db, h.Run) != string(raw) || run.Verdict != "fail" || run.Labels["k"] != "v" || run.State != database.Ended {
			t.Errorf("%+v, error %v", run, err)
		}
		if runs, err := db.Runs(ctx, database.Filter{}); err != nil || len(runs) != 1 {
			t.Errorf("%d runs, error %v", len(runs), err)
		}
	})
}

// A load test has a result and no record.
func TestLoadResult(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		r, err := db.Begin(ctx, database.Meta{Kind: database.KindLoad, Procedure: "success", Board: "b"}, nil)
		must(t, err)
		must(t, r.Finish(database.LoadResult{JSON: []byte(`{"steps":7}`), Verdict: "pass", Cause: record.Finished, Duration: 1.5, Steps: 7, Passed: 7}))
		must(t, r.Close())
		run, err := db.Run(ctx, r.ID())
		if err != nil || run.Result != `{"steps":7}` || run.Verdict != "pass" || run.State != database.Ended || run.Duration.Seconds() != 1.5 || run.Steps != 7 {
			t.Errorf("%+v, error %v", run, err)
		}
	})
}
