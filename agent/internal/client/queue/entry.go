package queue

import (
	"cmp"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/schedule"
)

// A State is the state of an entry.
type State string

// The states.
const (
	// Waiting: the entry is performed when it is due and a worker knows its board.
	Waiting State = "waiting"
	// Running: a worker performs it, or did until it was killed.
	Running State = "running"
	// Done: it was performed as often as it says.
	Done State = "done"
	// Cancelled: a user has cancelled it.
	Cancelled State = "cancelled"
	// Failed: no worker can perform it; Problem says why. A failed run does not fail its entry.
	Failed State = "failed"
)

// States returns all states.
func States() []State { return []State{Waiting, Running, Done, Cancelled, Failed} }

// An Entry asks for runs of a procedure against a board. Its JSON is that of stepctl queue list. Entries that are
// read from the same row are equal.
type Entry struct {
	ID    int64 `json:"id"`
	State State `json:"state"`
	// Procedure is a name. Version 0 is the newest when it is performed.
	Procedure string `json:"procedure"`
	Version   int64  `json:"version,omitzero"`
	Board     string `json:"board"`
	// Priority: the higher one is performed first.
	Priority int64 `json:"priority"`
	// Due is when it is to be performed next; zero for at once.
	Due time.Time `json:"due,omitzero"`
	// Every is the plan of a repeated entry, see schedule.ParseEvery; empty for none.
	Every string `json:"every,omitzero"`
	// Times is how often it is performed; 0 is once without Every, and without end with it.
	Times int64 `json:"times,omitzero"`
	// Labels are those of its runs, k=v,k=v.
	Labels string `json:"labels,omitzero"`
	// Performed is how often it was performed.
	Performed int64 `json:"performed"`
	// Problem says why it failed.
	Problem string `json:"problem,omitzero"`
	// Worker is the last worker, Attempt its attempt at this due time, from 1, and Run its run.
	Worker  string `json:"worker,omitzero"`
	Attempt int64  `json:"attempt"`
	Run     string `json:"run,omitzero"`
	// LeasedUntil is when a running entry is taken up by another worker, unless its lease is renewed.
	LeasedUntil time.Time `json:"leased_until,omitzero"`
	// Added is when it was added.
	Added time.Time `json:"added"`

	token string // of the claim
	wrong string // what is wrong with a column that cannot be read
}

// columns are the columns of an Entry, in the order of scan.
const columns = `id, state, procedure, version, board, priority, due, every, times, labels, performed, problem, worker, attempt, run,
	leased_until, added, lease`

// scan reads the columns of an entry. What plain SQL may have written wrongly is no error of it but of
// order.
func scan(e *Entry, row interface{ Scan(...any) error }) error {
	var version, times sql.Null[int64]
	var every, problem, worker, run, token sql.Null[string]
	var due, until, added database.LooseTime
	err := row.Scan(&e.ID, &e.State, &e.Procedure, &version, &e.Board, &e.Priority, &due, &every, &times, &e.Labels,
		&e.Performed, &problem, &worker, &e.Attempt, &run, &until, &added, &token)
	e.Version, e.Times = version.V, times.V
	e.Every, e.Problem, e.Worker, e.Run, e.token = every.V, problem.V, worker.V, run.V, token.V
	e.Due, e.LeasedUntil, e.Added = due.At, until.At, added.At
	e.wrong = cmp.Or(due.Wrong, added.Wrong)
	return err
}

// An order is what an entry asks for, as a worker reads it.
type order struct {
	every  schedule.Every
	labels map[string]string
}

// order reads the entry. The error says why it cannot be performed.
func (e *Entry) order() (o order, err error) {
	if e.wrong != "" {
		return order{}, fmt.Errorf("a time of the entry is wrong: %s", e.wrong)
	}
	if e.Every != "" {
		if o.every, err = schedule.ParseEvery(e.Every); err != nil {
			return order{}, err
		}
	}
	o.labels, err = ParseLabels(e.Labels)
	return o, err
}

// RunLabels returns the labels of the entry's runs.
func (e *Entry) RunLabels() map[string]string {
	labels, _ := ParseLabels(e.Labels) // a claimed entry has sound ones
	return labels
}

// ParseLabels reads labels in the form k=v,k=v.
func ParseLabels(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	labels := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if _, twice := labels[key]; !ok || key == "" || twice {
			return nil, fmt.Errorf("the labels %.80q must have the form key=value,key=value, with each key once", text)
		}
		labels[key] = value
	}
	return labels, nil
}

// planned is the time by which entries are ordered, and from which durations count.
func (e *Entry) planned() time.Time {
	if e.Due.IsZero() {
		return e.Added
	}
	return e.Due
}

// leave ends the lease of an entry, which gets another state.
func (e *Entry) leave(state State) { e.State, e.token, e.LeasedUntil = state, "", time.Time{} }

// settle changes an entry that was claimed at a time and performed to what comes next: waiting for
// its next due time, or done. Times of the plan that passed before the claim are left out, and one
// that has passed since is performed at once.
func (e *Entry) settle(every schedule.Every, claimed time.Time) {
	e.Performed++
	e.leave(Waiting)
	switch {
	case e.Times > 0 && e.Performed >= e.Times, e.Times == 0 && every.IsZero():
		e.State = Done
	case !every.IsZero():
		next := every.Next(e.planned(), claimed)
		if next.IsZero() {
			e.State = Done // the plan has no further day
			break
		}
		e.Due = next
	}
	if e.State == Waiting {
		e.Attempt = 0
	}
}
