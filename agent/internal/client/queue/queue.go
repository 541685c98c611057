// Package queue holds what workers are to perform: the entries of a table that other programs may
// insert into.
//
// A worker claims an entry that is due (Claim), which leases it for a while, renews the lease while
// it performs the entry (Renew), and settles it (Finish, Release or Fail). An entry whose lease has
// ended is claimed again, as a further attempt. Every claim has a random token, and what a worker
// asks for with a token that is not in the table any more is refused with a LostError. So an entry
// is settled once, whatever happens to its workers.
//
// All times are those of the database, see database.Engine.Now, so that the clocks of workers do not
// matter.
package queue

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// DefaultLease is how long a worker may be silent before another one takes up its entry.
const DefaultLease = 15 * time.Second

// A Queue is the queue of a database. It is safe for concurrent use, by several processes too.
type Queue struct {
	db    *database.DB
	lease time.Duration
	// now is a test's own clock; nil for that of the database.
	now func() time.Time
}

// New returns the queue of a database. A claim is leased for a time, as long for all its workers.
func New(db *database.DB, lease time.Duration) *Queue { return &Queue{db: db, lease: lease} }

// Lease returns how long a claim is leased.
func (q *Queue) Lease() time.Duration { return q.lease }

// present returns the present time of the database.
func (q *Queue) present(ctx context.Context) (time.Time, error) {
	if q.now != nil {
		return q.now(), nil
	}
	return q.db.Now(ctx)
}

// time returns the present time of the database in a transaction.
func (q *Queue) time(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	if q.now != nil {
		return q.now(), nil
	}
	var now database.Time
	err := tx.QueryRowContext(ctx, "SELECT "+q.db.Engine().Now()).Scan(&now)
	return time.Time(now), err
}

// Add adds an entry, of which it uses Procedure, Version, Board, Priority, Due, Every, Times and
// Labels, and returns it as it is stored. The caller checks whether the procedure exists. An entry
// that a worker could not read is refused.
func (q *Queue) Add(ctx context.Context, e Entry) (Entry, error) {
	if _, err := e.order(); err != nil {
		return Entry{}, err
	}
	err := q.db.Write(ctx, func(tx *sql.Tx) error {
		return scan(&e, tx.QueryRowContext(ctx, `INSERT INTO queue (procedure, version, board, priority, due, every, times, labels)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING `+columns,
			e.Procedure, database.OrNull(e.Version), e.Board, e.Priority, nullTime(e.Due), database.OrNull(e.Every), database.OrNull(e.Times), e.Labels))
	})
	return e, err
}

// nullTime returns nil for the zero time.
func nullTime(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return database.Time(at)
}

// Entry returns the entry with the id. errors.Is(err, database.ErrMissing) says that there is none.
func (q *Queue) Entry(ctx context.Context, id int64) (Entry, error) {
	list, err := q.entries(ctx, "WHERE id = $1", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("entry %d of the queue is %w; list all with \"stepctl queue list --all\"", id, database.ErrMissing)
	}
	if err != nil {
		return Entry{}, err
	}
	return list[0], nil
}

// A Filter selects entries. The zero value selects all.
type Filter struct {
	States []State
	// Board and Procedure are names; empty for all.
	Board, Procedure string
	// Limit is the largest number of entries; 0 for all. The newest are selected.
	Limit int
}

// List returns the selected entries in the order in which they were added.
func (q *Queue) List(ctx context.Context, f Filter) ([]Entry, error) {
	var conditions []string
	var args []any
	add := func(condition string, values ...any) {
		args = append(args, values...)
		conditions = append(conditions, condition)
	}
	if len(f.States) > 0 {
		add("state IN "+database.Placeholders(len(args), len(f.States)), values(f.States)...)
	}
	if f.Board != "" {
		add("board = "+database.Placeholders(len(args), 1), f.Board)
	}
	if f.Procedure != "" {
		add("procedure = "+database.Placeholders(len(args), 1), f.Procedure)
	}
	where := ""
	if len(conditions) > 0 {
		where = "WHERE " + strings.Join(conditions, " AND ")
	}
	if f.Limit > 0 {
		where += " ORDER BY id DESC LIMIT " + strconv.Itoa(f.Limit)
	}
	return q.entries(ctx, where, args...)
}

// entries returns the entries that the rest of a query selects, in the order of their ids.
func (q *Queue) entries(ctx context.Context, rest string, args ...any) ([]Entry, error) {
	list, err := database.Collect(ctx, q.db, func(rows *sql.Rows) (e Entry, err error) {
		err = scan(&e, rows)
		return e, err
	},
		"SELECT * FROM (SELECT "+columns+" FROM queue "+rest+") AS selected ORDER BY id", args...)
	return list, q.fault(err)
}

// fault adds to an error of the database what was being done.
func (*Queue) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot read the queue: %w", err)
}

// values returns the values as arguments of a query.
func values[T ~string](list []T) []any {
	args := make([]any, len(list))
	for i, value := range list {
		args[i] = string(value)
	}
	return args
}
