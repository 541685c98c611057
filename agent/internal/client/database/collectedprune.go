package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// pruneRows is how many collected events, or messages that were put aside, one transaction removes, so that those
// that are being collected need not wait for long.
const pruneRows = 5000

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

// pruneCollectedIf removes the events on which a condition holds and that were collected before a time. With dry
// it only counts.
func pruneCollectedIf(ctx context.Context, db *DB, condition string, before time.Time, dry bool, p *Pruned) error {
	condition += " AND message IN (SELECT id FROM agent_messages WHERE collected < $1)"
	events, bytes, err := removeIf(ctx, db, "agent_events", "board, at, digest", "length(line)", condition, dry, Time(before))
	p.Collected, p.Bytes = p.Collected+events, p.Bytes+bytes
	return err
}

// removeIf removes the rows of a table with a primary key on which a condition holds, some in each transaction.
// With dry it only counts. It returns how many there are, and their size by an expression.
func removeIf(ctx context.Context, db *DB, table, key, size, condition string, dry bool, args ...any) (rows, bytes int64, err error) {
	where := " FROM " + table + " WHERE " + condition
	err = db.read.QueryRowContext(ctx, "SELECT count(*), coalesce(sum("+size+"), 0)"+where, args...).Scan(&rows, &bytes)
	if err != nil {
		return 0, 0, db.fault(err)
	}
	remove := fmt.Sprintf("DELETE FROM %s WHERE (%s) IN (SELECT %s%s LIMIT %d)", table, key, key, where, pruneRows)
	for left := rows; !dry && left > 0; left -= pruneRows {
		err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, remove, args...)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return rows, bytes, nil
}

// rejectBytes is about the size of a message that was put aside.
const rejectBytes = "length(body) + length(subject) + length(id) + length(problem)"

// pruneRejects removes messages that were put aside on which a condition holds.
func pruneRejects(ctx context.Context, db *DB, condition string, dry bool, p *Pruned, args ...any) error {
	rejects, bytes, err := removeIf(ctx, db, "agent_rejects", "digest", rejectBytes, condition, dry, args...)
	p.Rejects, p.Bytes = p.Rejects+rejects, p.Bytes+bytes
	return err
}

// pruneRejectsSize removes the oldest of the messages that were put aside since a time, until the number of bytes
// is removed or none is left.
func pruneRejectsSize(ctx context.Context, db *DB, since time.Time, bytes int64, dry bool, p *Pruned) error {
	var collected Time
	var digest string
	err := db.read.QueryRowContext(ctx, `SELECT collected, digest FROM (SELECT collected, digest,
		sum(`+rejectBytes+`) OVER (ORDER BY collected, digest) - (`+rejectBytes+`) AS older FROM agent_rejects WHERE collected >= $1) AS r
		WHERE older < $2 ORDER BY collected DESC, digest DESC LIMIT 1`, Time(since), bytes).Scan(&collected, &digest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return db.fault(err)
	}
	return pruneRejects(ctx, db, "collected >= $1 AND (collected, digest) <= ($2, $3)", dry, p, Time(since), collected, digest)
}
