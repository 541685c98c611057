package queue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// A Claim is an entry that a worker performs.
type Claim struct {
	Entry
	// Claimed is when it was claimed.
	Claimed time.Time
	// Interrupted is the run of the attempt before, which was interrupted; empty for a first attempt.
	Interrupted string
}

// A Wanted says which entries a worker can perform.
type Wanted struct {
	// Worker names the worker.
	Worker string
	// Boards are the names of the boards that it knows and does not use now.
	Boards []string
	// Until leaves out entries that are due later; zero for none.
	Until time.Time
}

// Claim claims the entry that is to be performed next, and leases it; nil if none is due. The order
// is: entries whose lease has ended; then priority, due time and id. A board has one running entry
// at a time, over all workers. Entries that cannot be read become Failed.
func (q *Queue) Claim(ctx context.Context, w Wanted) (*Claim, error) {
	for {
		claim, again, err := q.step(ctx, w)
		if err != nil || !again {
			return claim, err
		}
	}
}

// claimLock is the key of the lock that serializes claims on PostgreSQL, as one writer at a time does on
// SQLite. Claims take milliseconds.
const claimLock = 0x73746570_71756575 // "stepqueu"

// step looks at the next entry in one transaction. It claims it, or changes it and asks for another step.
func (q *Queue) step(ctx context.Context, w Wanted) (claim *Claim, again bool, err error) {
	if len(w.Boards) == 0 {
		return nil, false, nil
	}
	err = q.db.Write(ctx, func(tx *sql.Tx) error {
		claim, again = nil, false
		if err := q.serialize(ctx, tx); err != nil {
			return err
		}
		now, err := q.time(ctx, tx)
		if err != nil {
			return err
		}
		e, err := q.next(ctx, tx, w, now)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			claim, err = q.take(ctx, tx, e, w.Worker, now)
			again = claim == nil
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return claim, again, nil
}

// serialize makes the transaction the only one that claims. A worker that is stopped in it is
// disconnected by the server, so that it does not block the others for long.
func (q *Queue) serialize(ctx context.Context, tx *sql.Tx) error {
	if q.db.Engine() != database.PostgreSQL {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SET LOCAL idle_in_transaction_session_timeout = '5s'"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(claimLock))
	return err
}

// next returns the entry that is to be performed next; sql.ErrNoRows if none is due.
func (q *Queue) next(ctx context.Context, tx *sql.Tx, w Wanted, now time.Time) (*Entry, error) {
	until := now
	if !w.Until.IsZero() && w.Until.Before(now) {
		until = w.Until
	}
	skip := ""
	if q.db.Engine() == database.PostgreSQL {
		skip = " FOR UPDATE OF q SKIP LOCKED" // those that another program is changing
	}
	boards := "q.board IN " + database.Placeholders(1, len(w.Boards))
	var e Entry
	err := scan(&e, tx.QueryRowContext(ctx, "SELECT "+columns+" FROM queue AS q WHERE q.state = 'running' AND "+
		"(q.leased_until IS NULL OR q.leased_until < $1) AND "+boards+" ORDER BY q.priority DESC, q.id LIMIT 1"+skip,
		append([]any{database.Time(now)}, values(w.Boards)...)...))
	if errors.Is(err, sql.ErrNoRows) {
		err = scan(&e, tx.QueryRowContext(ctx, "SELECT "+columns+" FROM queue AS q WHERE q.state = 'waiting' AND "+
			"coalesce(q.due, q.added) <= $1 AND "+boards+" AND q.board NOT IN "+
			"(SELECT r.board FROM queue AS r WHERE r.state = 'running') "+
			"ORDER BY q.priority DESC, coalesce(q.due, q.added), q.id LIMIT 1"+skip,
			append([]any{database.Time(until)}, values(w.Boards)...)...))
	}
	return &e, err
}

// take claims an entry. It returns nil if the entry was changed instead.
func (q *Queue) take(ctx context.Context, tx *sql.Tx, e *Entry, worker string, now time.Time) (*Claim, error) {
	order, err := e.order()
	if err != nil {
		e.leave(Failed)
		e.Problem = err.Error()
		return nil, q.update(ctx, tx, e)
	}
	claim := &Claim{Claimed: now}
	switch {
	case e.State == Running:
		performed, err := q.interrupt(ctx, tx, e.Run)
		if err != nil {
			return nil, err
		}
		if performed { // its worker was killed before it could say so
			e.settle(order.every, now)
			return nil, q.update(ctx, tx, e)
		}
	case e.Due.IsZero() && !order.every.IsZero():
		if e.Due = order.every.First(e.Added); e.Due.After(now) {
			return nil, q.update(ctx, tx, e)
		}
	}
	if e.Attempt > 0 {
		claim.Interrupted = e.Run
	}
	e.State, e.Worker, e.token, e.LeasedUntil = Running, worker, rand.Text(), now.Add(q.lease)
	e.Problem = ""
	e.Attempt++
	e.Run = database.NewID(now)
	claim.Entry = *e
	return claim, q.update(ctx, tx, e)
}

// interrupt marks the run of a killed worker as interrupted. It reports whether the run had ended, so
// that the entry was performed.
func (q *Queue) interrupt(ctx context.Context, tx *sql.Tx, run string) (performed bool, err error) {
	var state, cause string
	err = tx.QueryRowContext(ctx, "SELECT state, cause FROM runs WHERE id = $1", run).Scan(&state, &cause)
	switch {
	case errors.Is(err, sql.ErrNoRows): // it was killed before the run began
		return false, nil
	case err != nil:
		return false, err
	case state == string(database.Ended) && cause != "interrupted":
		return true, nil
	}
	_, err = tx.ExecContext(ctx, "UPDATE runs SET state = 'interrupted' WHERE id = $1 AND state = 'running'", run)
	return false, err
}

// update stores what a worker changes of an entry.
func (q *Queue) update(ctx context.Context, tx *sql.Tx, e *Entry) error {
	_, err := tx.ExecContext(ctx, `UPDATE queue SET state = $2, due = $3, performed = $4, problem = $5, worker = $6, attempt = $7, run = $8,
		lease = $9, leased_until = $10 WHERE id = $1`, e.ID, string(e.State), nullTime(e.Due), e.Performed, database.OrNull(e.Problem), database.OrNull(e.Worker),
		e.Attempt, database.OrNull(e.Run), database.OrNull(e.token), nullTime(e.LeasedUntil))
	return err
}
