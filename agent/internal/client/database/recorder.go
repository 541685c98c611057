package database

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Times of a Recorder.
const (
	// InterruptedAfter is how long a running run may show no sign of life before it is taken for
	// interrupted.
	InterruptedAfter = 30 * time.Second
	// heartbeat is the time between signs of life.
	heartbeat = InterruptedAfter / 3
	// flushTimeout limits one commit of a Recorder.
	flushTimeout = 10 * time.Second
)

// A Recorder stores one run as it happens. Write takes the lines of its record and never waits for
// the database: a goroutine commits them, those that have come meanwhile together. It is safe for
// concurrent use.
type Recorder struct {
	db   *DB
	meta Meta
	say  func(error)

	mu     sync.Mutex // guards the next three
	lines  []byte     // to store
	closed bool
	failed error // of the database, from the first failure on

	wake chan struct{} // has a place for one
	done chan struct{} // closed when the goroutine has ended
	fold *folded       // of the goroutine
}

// Begin stores that a run begins, and returns its Recorder. say is called once, by another goroutine,
// when the database fails during the run, with what is done about it; nil for no call.
func (db *DB) Begin(ctx context.Context, m Meta, say func(error)) (*Recorder, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.check(now); err != nil {
		return nil, err
	}
	if err := db.Write(ctx, func(tx *sql.Tx) error { return db.insertRun(ctx, tx, &m) }); err != nil {
		return nil, err
	}
	if say == nil {
		say = func(error) {}
	}
	r := &Recorder{db: db, meta: m, say: say, wake: make(chan struct{}, 1), done: make(chan struct{}), fold: newFolded(m.Kind)}
	go r.loop()
	return r, nil
}

// ID returns the id of the run.
func (r *Recorder) ID() string { return r.meta.ID }

// Write takes one or more whole lines of the record. It never fails before Close; the bytes are
// copied.
func (r *Recorder) Write(lines []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, errors.New("the recorder is closed")
	case !bytes.HasSuffix(lines, []byte{'\n'}):
		return 0, errors.New("a recorder takes whole lines")
	}
	r.lines = append(r.lines, lines...)
	r.nudge()
	return len(lines), nil
}

// nudge wakes the goroutine.
func (r *Recorder) nudge() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake
	}
}

// Finish takes the result of a load test.
func (r *Recorder) Finish(result LoadResult) error {
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = r.Write(append(line, '\n'))
	return err
}

// Close stores what is left, and that a run without an end was interrupted. It returns an error if
// some of the run is not in the database. It may be called again.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	r.nudge()
	r.mu.Unlock()
	<-r.done
	return r.failed
}

// loop stores what comes, until Close.
func (r *Recorder) loop() {
	defer close(r.done)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.wake:
		case <-beat.C:
		}
		r.mu.Lock()
		lines, closed := r.lines, r.closed
		r.lines = nil
		r.mu.Unlock()
		if err := r.flush(lines, closed); err != nil && r.failed == nil {
			r.mu.Lock()
			r.failed = err
			r.mu.Unlock()
			r.say(err)
		}
		if closed {
			return
		}
	}
}

// flush commits lines, or a sign of life.
func (r *Recorder) flush(lines []byte, closed bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	state := Running
	if closed {
		state = Interrupted
	}
	_ = r.fold.add(lines) // a line that is wrong is stored, and the run is undecided
	err := r.db.Write(ctx, func(tx *sql.Tx) error { return r.db.store(ctx, tx, &r.meta, r.fold, lines, state) })
	if err == nil {
		clear(r.fold.changed)
	}
	return err
}

// MarkInterrupted marks the runs whose client has shown no sign of life for InterruptedAfter, by the
// clock of the database, and returns how many. Open does so.
func (db *DB) MarkInterrupted(ctx context.Context) (int64, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return 0, err
	}
	cutoff := Time(now.Add(-InterruptedAfter))
	var dead int64
	err = db.read.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE state = 'running' AND seen < $1", cutoff).Scan(&dead)
	if err != nil || dead == 0 {
		return 0, db.fault(err)
	}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE runs SET state = 'interrupted' WHERE state = 'running' AND seen < $1", cutoff)
		if err == nil {
			dead, err = result.RowsAffected()
		}
		return err
	})
	return dead, err
}
