package web

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

const (
	// queueEntries is how many waiting entries the page shows at once, and how many that are over.
	queueEntries = 50
	queueEnded   = 20
)

// queuePage is the page of the queue.
type queuePage struct {
	Running, Waiting, Ended []entry
	Pages                   pages
	Counts                  []fact
}

// An entry is an entry of the queue.
type entry struct {
	ID, Priority, Performed, Attempt int64
	Procedure, Board                 string
	Times                            string
	Due                              time.Time // zero: at once, unless WrongDue
	WrongDue                         bool      // the due time cannot be read
	Every, Labels, State, Problem    string
	Worker, Run, Word, Class, Symbol string
	Progress                         *progress
}

// queueStates are the looks of the states.
var queueStates = map[string][2]string{
	"waiting": {"waiting", "◷"}, "running": {"running", "▶"}, "done": {"pass", "✓"}, "cancelled": {"interrupted", "–"}, "failed": {"fail", "!"},
}

func (s *Site) queue(ctx context.Context, db *database.DB, v *view) (string, any, error) {
	page, err := v.number("page", 1_000_000)
	if err != nil {
		return "", nil, err
	}
	counts, err := stateCounts(ctx, db)
	if err != nil {
		return "", nil, err
	}
	p := queuePage{Pages: v.pages("page", page, counts["waiting"], queueEntries)}
	for _, state := range []string{"running", "waiting", "done", "failed", "cancelled"} {
		p.Counts = append(p.Counts, fact{Name: v.Words.States[state], Value: fmt.Sprint(counts[state])})
	}
	for _, list := range []struct {
		to    *[]entry
		query string
	}{
		{&p.Running, "WHERE state = 'running' ORDER BY board"},
		{&p.Waiting, fmt.Sprintf("WHERE state = 'waiting' ORDER BY coalesce(due, added), priority DESC, id LIMIT %d OFFSET %d", queueEntries, (page-1)*queueEntries)},
		{&p.Ended, fmt.Sprintf("WHERE state NOT IN ('running', 'waiting') ORDER BY id DESC LIMIT %d", queueEnded)},
	} {
		if *list.to, err = v.entries(ctx, db, list.query); err != nil {
			return "", nil, err
		}
	}
	for i := range p.Running {
		if p.Running[i].Progress, err = v.entryProgress(ctx, db, p.Running[i].Run); err != nil {
			return "", nil, err
		}
	}
	return v.Words.Queue, p, nil
}

// entryProgress returns the progress of the run of an entry; nil if it has not begun.
func (v *view) entryProgress(ctx context.Context, db *database.DB, id string) (*progress, error) {
	if id == "" {
		return nil, nil
	}
	run, err := db.Run(ctx, id)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	p, err := v.progress(ctx, db, run)
	return &p, err
}

// entries returns entries of the queue.
func (v *view) entries(ctx context.Context, db *database.DB, query string) ([]entry, error) {
	return database.Collect(ctx, db, func(rows *sql.Rows) (e entry, err error) {
		var version, times sql.Null[int64]
		var due database.LooseTime
		err = rows.Scan(&e.ID, &e.Procedure, &version, &e.Board, &e.Priority, &due, &e.Every, &times, &e.Labels, &e.Performed, &e.State,
			&e.Problem, &e.Worker, &e.Attempt, &e.Run)
		if version.Valid {
			e.Procedure = fmt.Sprintf("%s@%d", e.Procedure, version.V)
		}
		e.Due, e.WrongDue = due.At, due.Wrong != ""
		e.Times = v.Words.Endless
		if times.Valid {
			e.Times = fmt.Sprint(times.V)
		} else if e.Every == "" {
			e.Times = "1"
		}
		e.Class, e.Symbol, e.Word = queueStates[e.State][0], queueStates[e.State][1], v.Words.States[e.State]
		return e, err
	}, `SELECT id, procedure, version, board, priority, due, coalesce(every, ''), times, labels, performed, state, coalesce(problem, ''),
		coalesce(worker, ''), attempt, coalesce(run, '') FROM queue `+query)
}

// stateCounts returns the number of entries of each state.
func stateCounts(ctx context.Context, db *database.DB) (map[string]int, error) {
	counts := map[string]int{}
	_, err := database.Collect(ctx, db, func(rows *sql.Rows) (struct{}, error) {
		var state string
		var n int
		err := rows.Scan(&state, &n)
		counts[state] = n
		return struct{}{}, err
	}, "SELECT state, count(*) FROM queue GROUP BY state")
	return counts, err
}
