package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

func exec(t *testing.T, db *database.DB, query string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, q *queue.Queue, worker string) *queue.Claim {
	t.Helper()
	c, err := q.Claim(t.Context(), queue.Wanted{Worker: worker, Boards: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ago returns a time before that of the database.
func ago(t *testing.T, db *database.DB, d time.Duration) database.Time {
	t.Helper()
	now, err := db.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return database.Time(now.Add(-d))
}

// A worker that is killed after the end of its run leaves an entry that was performed; one that is
// killed before leaves a run that was interrupted.
func TestRunOfKilledWorker(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for state, want := range map[string]string{"'ended', 'finished'": "done", "'ended', 'interrupted'": "", "'running', ''": ""} {
			exec(t, db, "DELETE FROM queue")
			exec(t, db, "DELETE FROM runs")
			exec(t, db, "INSERT INTO queue (procedure, board) VALUES ('p', 'a')")
			q := queue.New(db, time.Minute)
			first := claim(t, q, "killed")
			exec(t, db, "INSERT INTO runs (id, procedure, started, seen, state, cause) VALUES ($1, 'p', $2, $2, "+state+")", first.Run, ago(t, db, 0))
			exec(t, db, "UPDATE queue SET leased_until = $1", ago(t, db, time.Second))
			second := claim(t, q, "heir")
			if want == "done" {
				if e, err := q.Entry(t.Context(), first.ID); second != nil || err != nil || e.State != queue.Done || e.Run != first.Run {
					t.Errorf("%s: claimed again as %v; the entry is %+v, %v", state, second, e, err)
				}
				continue
			}
			if second == nil || second.Attempt != 2 || second.Interrupted != first.Run || second.Run == first.Run {
				t.Errorf("%s: the second claim is %+v", state, second)
			}
			if run, err := db.Run(t.Context(), first.Run); err != nil || run.State == database.Running {
				t.Errorf("%s: the first run is %s, %v", state, run.State, err)
			}
		}
	})
}

// Times that passed while no worker ran are made up by one run, and the next one is by the plan.
func TestMissedTimes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := queue.New(db, time.Minute)
		due := ago(t, db, 5*time.Hour+10*time.Minute)
		exec(t, db, "INSERT INTO queue (procedure, board, due, every) VALUES ('p', 'a', $1, '1h')", due)
		first := claim(t, q, "w")
		if _, err := q.Finish(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if again := claim(t, q, "w"); again != nil {
			t.Errorf("performed again: %+v", again)
		}
		e, err := q.Entry(t.Context(), first.ID)
		if err != nil || !e.Due.Equal(time.Time(due).Add(6*time.Hour)) || e.Performed != 1 || e.Attempt != 0 {
			t.Errorf("the entry is %+v, %v", e, err)
		}
		if wait, ok, err := q.Wait(t.Context(), []string{"a"}); err != nil || !ok || wait < 45*time.Minute || wait > 51*time.Minute {
			t.Errorf("the next is due after %s, %v, %v", wait, ok, err)
		}
	})
}

// Many workers claim at the same time: each entry is claimed once, in order on its board.
func TestConcurrentClaims(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		db := databasetest.Open(t, place)
		const entries = 60
		for i := range entries {
			exec(t, db, "INSERT INTO queue (procedure, board) VALUES ('p', $1)", string(rune('a'+i%3)))
		}
		var mu sync.Mutex
		claimed := map[int64]int{}
		last := map[string]int64{}
		var workers sync.WaitGroup
		for i := range 4 {
			own := databasetest.Open(t, place) // as a process of its own
			workers.Go(func() {
				q := queue.New(own, time.Hour)
				for ; ; time.Sleep(5 * time.Millisecond) { // SQLite lets others in by chance, not in turn
					c, err := q.Claim(context.Background(), queue.Wanted{Worker: fmt.Sprint(i), Boards: []string{"a", "b", "c"}})
					if errors.Is(err, database.ErrAway) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if c == nil && len(claimed) == entries {
						mu.Unlock()
						return
					}
					if c != nil {
						claimed[c.ID]++
						if last[c.Board] >= c.ID {
							t.Errorf("entry %d of the board %s is claimed after %d", c.ID, c.Board, last[c.Board])
						}
						last[c.Board] = c.ID
					}
					mu.Unlock()
					if c == nil {
						continue
					}
					_, err = q.Finish(context.Background(), c)
					for errors.Is(err, database.ErrAway) {
						_, err = q.Finish(context.Background(), c)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		workers.Wait()
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("entry %d is claimed %d times", id, n)
			}
		}
	})
}

// Rows that plain SQL has written wrongly can be listed, fail when they are due, and can be tried again.
func TestWrongRows(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		q := queue.New(db, time.Minute)
		exec(t, db, "INSERT INTO queue (procedure, board, every) VALUES ('p', 'a', 'often')")
		if db.Engine() == database.SQLite {
			for _, due := range []string{"2026-99-99T00:00:00Z", "2026-12-01 08:00:00", "tomorrow", "2026-12-01T08:00:00+09:00"} {
				if err := db.Write(t.Context(), func(tx *sql.Tx) error {
					_, err := tx.Exec("INSERT INTO queue (procedure, board, due) VALUES ('p', 'a', $1)", due)
					return err
				}); err == nil {
					t.Errorf("the due time %s is accepted", due)
				}
			}
			exec(t, db, "INSERT INTO queue (procedure, board, added) VALUES ('p', 'a', '2026 anno domini')")
		}
		if c := claim(t, q, "w"); c != nil {
			t.Errorf("claimed %+v", c)
		}
		list, err := q.List(t.Context(), queue.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.State == queue.Failed != (e.Problem != "") || e.ID == 1 && e.State != queue.Failed {
				t.Errorf("the entry is %+v", e)
			}
		}
		exec(t, db, "UPDATE queue SET state = 'waiting', every = NULL WHERE id = 1")
		if c := claim(t, q, "w"); c == nil || c.ID != 1 || c.Problem != "" {
			t.Errorf("the entry that was put right is claimed as %+v", c)
		}
	})
}

func TestAddWrong(t *testing.T) {
	q := queue.New(databasetest.Open(t, databasetest.File(t)), time.Minute)
	for want, e := range map[string]queue.Entry{
		"neither a duration": {Procedure: "p", Board: "a", Every: "often"},
		"the labels":         {Procedure: "p", Board: "a", Labels: "n"},
		"CHECK constraint":   {Procedure: "p"},
	} {
		if _, err := q.Add(t.Context(), e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gave %v", e, err)
		}
	}
	if _, err := q.Cancel(t.Context(), 7); !errors.Is(err, database.ErrMissing) {
		t.Errorf("got %v", err)
	}
}

// For any text: no panic, and each key once.
func FuzzParseLabels(f *testing.F) {
	f.Add("k=v,k2=v2")
	f.Add(" , =,a=b=c")
	f.Fuzz(func(t *testing.T, text string) {
		labels, err := queue.ParseLabels(text)
		if _, empty := labels[""]; empty || err != nil && labels != nil {
			t.Errorf("%q gave %v, %v", text, labels, err)
		}
	})
}
