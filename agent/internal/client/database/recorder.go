package database

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Times of a Recorder.
const (
	// InterruptedAfter is how long a running run may show no sign of life before it is taken for
	// interrupted.
	InterruptedAfter = 30 * time.Second
	// heartbeat is the time between signs of life, and between attempts to reach a database that is
	// away.
	heartbeat = InterruptedAfter / 3
	// flushTimeout limits one commit of a Recorder.
	flushTimeout = 10 * time.Second
)

// A Recorder stores one run as it happens. Write takes the lines of its record and never waits for
// the database: a goroutine commits them, those that have come meanwhile together. If the database
// fails, the lines wait in a file until it is back; see package spool. It is safe for concurrent use.
type Recorder struct {
	id    string
	store *keeper // of the goroutine

	mu     sync.Mutex // guards the next two
	lines  []byte     // that the goroutine has not taken yet
	closed bool

	wake chan struct{} // has a place for one
	done chan struct{} // closed when the goroutine has ended
	err  error         // of Close; set before done is closed
}

// Begin stores that a run begins, and returns its Recorder. say is called by another goroutine when
// the database fails during the run, with what is done about it, once for each time that it goes
// away; nil for no call. A *MetaError says that the Meta is wrong; any other error is one of the database.
func (db *DB) Begin(ctx context.Context, m Meta, say func(error)) (*Recorder, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.check(now); err != nil {
		return nil, &MetaError{err}
	}
	if err := begin(ctx, db, &m); err != nil {
		return nil, err
	}
	return newRecorder(&keeper{db: db, meta: m, say: say, fold: newFolded(m.Kind), retry: db.retry}), nil
}

func newRecorder(k *keeper) *Recorder {
	r := &Recorder{id: k.meta.ID, store: k, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go r.loop()
	return r
}

// ID returns the id of the run.
func (r *Recorder) ID() string { return r.id }

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
	notify(r.wake)
	return len(lines), nil
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

// Close stores what is left, and that a run without an end was interrupted. It takes at most half a
// minute. Its error says that some of the run is not in the database, and where it is instead;
// errors.Is(err, ErrWaiting) says that it is complete in a file, which Sync takes in. Close may be
// called again.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	notify(r.wake)
	r.mu.Unlock()
	<-r.done
	return r.err
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
		r.store.keep(lines)
		if closed {
			r.err = r.store.end()
			return
		}
		r.store.flush(Running)
	}
}

// Add takes in the record of a run that was made without the database. A record that is there already
// is not added again: added is false and id names the run. The record of a run that was interrupted
// completes it, also if it was resumed meanwhile. The first error in the record is returned, and then
// nothing is stored.
func (db *DB) Add(ctx context.Context, name string, raw []byte, m Meta) (id string, added bool, err error) {
	return addRecord(ctx, db, name, raw, m)
}

// AddFiles adds many records as Add does, a few hundred in one transaction. each is called for every
// file in their order, after its transaction was committed; a file that cannot be added does not
// stop the others. AddFiles fails only if the context ends or the database fails. What was committed
// stays: the same call goes on where it has ended.
func (db *DB) AddFiles(ctx context.Context, names iter.Seq[string], m Meta, each func(Added)) error {
	return addFiles(ctx, db, names, m, each)
}

// Sync takes in what runs have left in files while this database was away; see package spool. Lines
// that are stored already are not stored again. It fails only if the database does.
func (db *DB) Sync(ctx context.Context) (SyncResult, error) {
	return syncFiles(ctx, db)
}
