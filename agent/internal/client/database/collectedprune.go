package database

import (
	"context"
	"database/sql"
	"time"
)

// pruneEvents is how many collected events one transaction removes, so that those that are being collected
// need not wait for long.
const pruneEvents = 5000

// passedEvent is the condition on events that are not kept longer than others.
const passedEvent = "(coalesce(error_code, 0) = 0 AND coalesce(verdict, 'pass') = 'pass')"

// pruneCollected removes collected events by their age, and messages without any. The clock is that of the
// database, as a board's may be wrong by years.
func pruneCollected(ctx context.Context, db *DB, now time.Time, r Retention, dry bool, p *Pruned) error {
	before := now.Add(-r.MaxAge)
	if err := pruneCollectedIf(ctx, db, passedEvent, before, dry, p); err != nil {
		return err
	}
	if r.FailedAge > 0 {
		if err := pruneCollectedIf(ctx, db, "NOT "+passedEvent, now.Add(-max(r.MaxAge, r.FailedAge)), dry, p); err != nil {
			return err
		}
	}
	if dry {
		return nil
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM agent_messages WHERE collected < $1 AND id NOT IN (SELECT message FROM agent_events)", Time(before))
		return err
	})
}

// pruneCollectedIf removes the events on which a condition holds and that were collected before a time, some in
// each transaction. With dry it only counts.
func pruneCollectedIf(ctx context.Context, db *DB, condition string, before time.Time, dry bool, p *Pruned) error {
	condition += " AND message IN (SELECT id FROM agent_messages WHERE collected < $1)"
	var events, bytes int64
	err := db.read.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(length(line)), 0) FROM agent_events WHERE "+condition, Time(before)).
		Scan(&events, &bytes)
	if err != nil {
		return db.fault(err)
	}
	for left := events; !dry && left > 0; left -= pruneEvents {
		err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM agent_events WHERE (board, at, digest) IN (SELECT board, at, digest FROM agent_events WHERE "+
				condition+" LIMIT $2)", Time(before), pruneEvents)
			return err
		})
		if err != nil {
			return err
		}
	}
	p.Collected, p.Bytes = p.Collected+events, p.Bytes+bytes
	return nil
}
