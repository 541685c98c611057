package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A LostError says that a worker does not hold a claim any more.
type LostError struct {
	ID int64 // of the entry
	// How says what became of the entry.
	How string
}

func (e *LostError) Error() string { return fmt.Sprintf("entry %d %s", e.ID, e.How) }

// Renew prolongs the lease of a claim. A *LostError says that there is none to prolong.
func (q *Queue) Renew(ctx context.Context, c *Claim) error {
	return q.change(ctx, c, func(e *Entry, now time.Time) error {
		e.LeasedUntil = now.Add(q.lease)
		return nil
	})
}

// Finish settles a claim whose run has ended, whatever its verdict. A repeated entry waits for its
// next time; the others are done. It returns the entry. A *LostError says that another worker has taken
// it up.
func (q *Queue) Finish(ctx context.Context, c *Claim) (Entry, error) {
	var settled Entry
	err := q.change(ctx, c, func(e *Entry, _ time.Time) error {
		order, err := e.order()
		if err != nil { // it was changed since the claim
			e.leave(Failed)
			e.Problem = err.Error()
			e.Performed++
			settled = *e
			return nil //nolint:nilerr // the entry has it
		}
		e.settle(order.every, c.Claimed)
		settled = *e
		return nil
	})
	return settled, err
}

// Release gives a claim whose run was interrupted back to the queue, where it is due at once, for a further
// attempt.
func (q *Queue) Release(ctx context.Context, c *Claim) error {
	return q.change(ctx, c, func(e *Entry, _ time.Time) error {
		e.leave(Waiting)
		return nil
	})
}

// Fail marks the entry of a claim as one that cannot be performed.
func (q *Queue) Fail(ctx context.Context, c *Claim, problem string) error {
	return q.change(ctx, c, func(e *Entry, _ time.Time) error {
		e.leave(Failed)
		e.Problem = problem
		return nil
	})
}

// change changes the entry of a claim, if the worker still holds it.
func (q *Queue) change(ctx context.Context, c *Claim, change func(e *Entry, now time.Time) error) error {
	return q.db.Write(ctx, func(tx *sql.Tx) error {
		now, err := q.time(ctx, tx)
		if err != nil {
			return err
		}
		e, err := q.locked(ctx, tx, c.ID)
		switch {
		case err != nil:
			return err
		case e == nil || e.State != Running || e.token != c.token:
			return lost(c, e)
		}
		if err := change(e, now); err != nil {
			return err
		}
		return q.update(ctx, tx, e)
	})
}

// locked returns an entry that no other transaction can change until the end of this one; nil for none.
func (q *Queue) locked(ctx context.Context, tx *sql.Tx, id int64) (*Entry, error) {
	lock := ""
	if q.db.Engine() == database.PostgreSQL {
		lock = " FOR UPDATE"
	}
	var e Entry
	err := scan(&e, tx.QueryRowContext(ctx, "SELECT "+columns+" FROM queue WHERE id = $1"+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &e, err
}

// lost says how a claim was lost, by the entry as it is now; nil if it is gone.
func lost(c *Claim, e *Entry) *LostError {
	how := "is not this worker's any more"
	switch {
	case e == nil:
		how = "was removed"
	case e.State == Cancelled:
		how = "was cancelled"
	case e.Run != c.Run:
		how = fmt.Sprintf("was taken up by %s, after its lease had ended", logging.Clean(e.Worker))
	}
	return &LostError{ID: c.ID, How: how}
}

// Lost returns what has become of those of a worker's claims that it does not hold any more. It reads
// alone, so that it may be called often.
func (q *Queue) Lost(ctx context.Context, claims []*Claim) ([]*LostError, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	var ids []any
	for _, c := range claims {
		ids = append(ids, c.ID)
	}
	list, err := q.entries(ctx, "WHERE id IN "+database.Placeholders(0, len(ids)), ids...)
	if err != nil {
		return nil, err
	}
	var all []*LostError
	for _, c := range claims {
		i := slices.IndexFunc(list, func(e Entry) bool { return e.ID == c.ID })
		switch {
		case i < 0:
			all = append(all, lost(c, nil))
		case list[i].State != Running || list[i].token != c.token:
			all = append(all, lost(c, &list[i]))
		}
	}
	return all, nil
}

// Wait returns after which time the next entry of the boards is due, or the lease of one ends; ok is
// false if there is none. It is 0 for an entry that is due and can be claimed.
func (q *Queue) Wait(ctx context.Context, boards []string) (wait time.Duration, ok bool, err error) {
	if len(boards) == 0 {
		return 0, false, nil
	}
	now, err := q.present(ctx)
	if err != nil {
		return 0, false, q.fault(err)
	}
	in := "q.board IN " + database.Placeholders(0, len(boards))
	for _, query := range []string{
		"SELECT min(coalesce(q.leased_until, q.added)) FROM queue AS q WHERE q.state = 'running' AND " + in,
		"SELECT min(coalesce(q.due, q.added)) FROM queue AS q WHERE q.state = 'waiting' AND " + in +
			" AND q.board NOT IN (SELECT r.board FROM queue AS r WHERE r.state = 'running')",
	} {
		var first database.LooseTime
		if err := q.db.Read().QueryRowContext(ctx, query, values(boards)...).Scan(&first); err != nil {
			return 0, false, q.fault(err)
		}
		if first.At.IsZero() && first.Wrong == "" {
			continue
		}
		if left := max(0, first.At.Sub(now)); !ok || left < wait {
			wait, ok = left, true
		}
	}
	return wait, ok, nil
}

// ErrSettled says that an entry neither waits nor runs.
var ErrSettled = errors.New("nothing to cancel")

// Cancel cancels an entry. The worker that performs it interrupts its run. errors.Is(err, ErrSettled)
// says that it is done, cancelled or failed, errors.Is(err, database.ErrMissing) that there is none.
func (q *Queue) Cancel(ctx context.Context, id int64) (Entry, error) {
	var cancelled Entry
	err := q.db.Write(ctx, func(tx *sql.Tx) error {
		e, err := q.locked(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case e == nil:
			return fmt.Errorf("entry %d of the queue is %w; list all with \"stepctl queue list --all\"", id, database.ErrMissing)
		case e.State != Waiting && e.State != Running:
			return fmt.Errorf("%w: entry %d is %s", ErrSettled, id, e.State)
		}
		e.leave(Cancelled)
		cancelled = *e
		return q.update(ctx, tx, e)
	})
	return cancelled, err
}

// Clear removes the entries that are done, cancelled or failed and were added before a time, and
// returns how many. Their runs stay.
func (q *Queue) Clear(ctx context.Context, before time.Time) (removed int64, err error) {
	err = q.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM queue WHERE state IN ('done', 'cancelled', 'failed') AND added < $1", database.Time(before))
		if err == nil {
			removed, err = result.RowsAffected()
		}
		return err
	})
	return removed, err
}
