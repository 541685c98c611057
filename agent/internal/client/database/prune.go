package database

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Retention says which runs and collected events are kept. Runs of baselines and runs that go on are never removed. The
// zero value of a limit is none.
type Retention struct {
	// MaxAge is how long runs are kept, FailedAge how long those that did not pass; it is at least
	// MaxAge. Both apply to collected events too, from the moment when they were collected, and MaxAge to
	// messages that were put aside.
	MaxAge    time.Duration
	FailedAge time.Duration
	// MaxRuns is how many runs of each procedure are kept, the newest. Those that did not pass do
	// not count and are kept, unless they are older than FailedAge.
	MaxRuns int64
	// MaxBytes is about how many bytes of the records of runs and of messages that were put aside are kept.
	// The oldest messages are removed first, then the oldest runs that passed, then the oldest others.
	MaxBytes int64
}

// DefaultRetention keeps runs for a year, and those that did not pass for two.
func DefaultRetention() Retention {
	const year = 365 * 24 * time.Hour
	return Retention{MaxAge: year, FailedAge: 2 * year}
}

// Pruned says what Prune has removed, or would remove.
type Pruned struct {
	// ByAge, ByCount and BySize are numbers of runs.
	ByAge, ByCount, BySize int64
	// Collected is the number of events of agents' records. They go by age.
	Collected int64
	// Rejects is the number of messages that were put aside.
	Rejects int64
	// Bytes is the size of the records of all.
	Bytes int64
}

// pruneRuns is how many runs one transaction removes, so that runs that are being stored need not
// wait for long.
const pruneRuns = 200

// removable is the condition on runs that may be removed.
const removable = "state <> 'running' AND NOT EXISTS (SELECT 1 FROM baselines AS b WHERE b.run = runs.id)"

// prune is DB.Prune.
func prune(ctx context.Context, db *DB, r Retention, dry bool) (Pruned, error) {
	var p Pruned
	if r.MaxAge < 0 || r.FailedAge < 0 || r.MaxRuns < 0 || r.MaxBytes < 0 {
		return p, fmt.Errorf("a limit of the retention is negative")
	}
	now, err := db.Now(ctx)
	if err != nil {
		return p, err
	}
	removed := map[string]bool{} // with dry, the runs that an earlier limit has counted
	drop := func(count *int64, query string, args ...any) error {
		ids, err := Collect(ctx, db, scanText, query, args...)
		if err != nil {
			return err
		}
		return remove(ctx, db, ids, dry, removed, count, &p.Bytes)
	}
	if r.MaxAge > 0 {
		const old = "SELECT id FROM runs WHERE id < $1 AND verdict %s 'pass' AND " + removable + " ORDER BY id"
		if err := drop(&p.ByAge, fmt.Sprintf(old, "="), idAt(now.Add(-r.MaxAge))); err != nil {
			return p, err
		}
		if age := max(r.MaxAge, r.FailedAge); r.FailedAge > 0 {
			if err := drop(&p.ByAge, fmt.Sprintf(old, "<>"), idAt(now.Add(-age))); err != nil {
				return p, err
			}
		}
		if err := pruneRejects(ctx, db, "collected < $1", dry, &p, Time(now.Add(-r.MaxAge))); err != nil {
			return p, err
		}
	}
	if r.MaxRuns > 0 {
		if err := drop(&p.ByCount, "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY procedure ORDER BY id DESC) AS n"+
			" FROM runs WHERE verdict = 'pass' AND "+removable+") AS counted WHERE n > $1 ORDER BY id", r.MaxRuns); err != nil {
			return p, err
		}
	}
	if r.MaxBytes > 0 {
		var since time.Time // what is older is removed, with dry counted, already
		if r.MaxAge > 0 {
			since = now.Add(-r.MaxAge)
		}
		if err := pruneSize(ctx, db, r.MaxBytes, since, dry, removed, &p); err != nil {
			return p, err
		}
	}
	if r.MaxAge > 0 { // last: events that were collected do not count for MaxBytes
		err = pruneCollected(ctx, db, now, r, dry, &p)
	}
	return p, err
}

func scanText(rows *sql.Rows) (text string, err error) { return text, rows.Scan(&text) }

// pruneSize removes messages that were put aside since a time, and then runs, until what stays has at most the
// number of bytes.
func pruneSize(ctx context.Context, db *DB, most int64, since time.Time, dry bool, removed map[string]bool, p *Pruned) error {
	var total, rejects int64
	err := db.read.QueryRowContext(ctx, "SELECT (SELECT coalesce(sum(length(lines)), 0) FROM events), "+
		"(SELECT coalesce(sum("+rejectBytes+"), 0) FROM agent_rejects)").Scan(&total, &rejects)
	if err != nil {
		return db.fault(err)
	}
	total += rejects
	before := p.Bytes
	if dry {
		total -= before
	}
	if err := pruneRejectsSize(ctx, db, since, total-most, dry, p); err != nil {
		return err
	}
	total -= p.Bytes - before
	type sized struct {
		id    string
		bytes int64
	}
	runs, err := Collect(ctx, db, func(rows *sql.Rows) (s sized, err error) { return s, rows.Scan(&s.id, &s.bytes) },
		"SELECT id, (SELECT coalesce(sum(length(lines)), 0) FROM events WHERE run = id) FROM runs WHERE "+removable+
			" ORDER BY CASE verdict WHEN 'pass' THEN 0 ELSE 1 END, id")
	if err != nil {
		return err
	}
	var ids []string
	for _, run := range runs {
		if total <= most {
			break
		}
		if !removed[run.id] {
			ids, total = append(ids, run.id), total-run.bytes
		}
	}
	return remove(ctx, db, ids, dry, removed, &p.BySize, &p.Bytes)
}
