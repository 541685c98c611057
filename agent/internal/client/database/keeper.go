package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
)

// ErrWaiting says that events of a run wait in a file until the database is back.
var ErrWaiting = errors.New("the events wait in a file")

// A keeper stores the lines of one run in the database, or in a file while the database is away. It
// is used by one goroutine.
type keeper struct {
	db   *DB
	meta Meta
	say  func(error)

	fold    *folded     // of all lines
	pending []byte      // lines that are neither in the database nor in the file
	waiting []string    // files whose lines are not in the database; nothing may be committed before
	file    *spool.File // the last of them while it takes lines; else nil
	retry   time.Duration
	tried   time.Time // when it was last tried to store something
	lost    error     // why lines are neither here nor there
}

// keep takes lines that flush is to store.
func (k *keeper) keep(lines []byte) {
	k.fold.add(lines) // a line that is wrong is stored, and the run is undecided
	k.pending = append(k.pending, lines...)
}

// flush stores the pending lines, or a sign of life. A run without an end gets the state.
func (k *keeper) flush(open State) {
	why := errors.New("the file for events has failed")
	if len(k.waiting) > 0 && time.Since(k.tried) >= k.retry {
		if err := k.comeBack(); err != nil {
			why = err
		}
	}
	if len(k.waiting) == 0 {
		if why = k.commit(open); why == nil {
			return
		}
	}
	if len(k.pending) == 0 && len(k.waiting) > 0 {
		return // a sign of life is not kept
	}
	if k.file == nil {
		if err := k.startFile(why); err != nil {
			k.lose(err)
			return
		}
	}
	n, err := k.file.Append(k.pending)
	k.pending = k.pending[n:]
	if err != nil {
		k.lose(errors.Join(err, k.file.Close()))
		k.file = nil // the next lines go to another
		return
	}
	k.pending, k.lost = nil, nil
}

// commit stores the pending lines in the database.
func (k *keeper) commit(open State) error {
	k.tried = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	err := k.db.Write(ctx, func(tx *sql.Tx) error { return store(ctx, k.db, tx, &k.meta, k.fold, k.pending, open) })
	if err == nil {
		clear(k.fold.changed)
		k.pending, k.lost = nil, nil
	}
	return err
}

// startFile creates the file for the pending lines and for those that come.
func (k *keeper) startFile(why error) error {
	folder, err := spool.Folder()
	if err != nil {
		return err
	}
	meta, err := json.Marshal(k.meta)
	if err != nil {
		return err
	}
	first := k.fold.lines - countLines(k.pending) + 1
	file, err := spool.Create(folder, spool.Header{Place: k.db.place, Run: k.meta.ID, First: first, Meta: meta})
	if err != nil {
		return err
	}
	k.file, k.waiting = file, append(k.waiting, file.Path())
	k.tell(fmt.Errorf("%w; the run goes on, and its events wait in %s", why, file.Path()))
	return nil
}

// comeBack takes the files in, if the database is back. It returns why some are left.
func (k *keeper) comeBack() error {
	k.tried = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := k.db.Ping(ctx); err != nil {
		return err // the file need not be closed
	}
	if k.file != nil {
		err := k.file.Close()
		k.file = nil
		if err != nil {
			k.tell(err)
		}
	}
	for len(k.waiting) > 0 {
		_, err := take(ctx, k.db, k.waiting[0])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		k.waiting = k.waiting[1:]
	}
	return nil // fold.changed stays: it may be of pending lines, and storing a step again changes nothing
}

// lose remembers that lines are neither in the database nor in a file. They are pending, so a later
// flush may store them.
func (k *keeper) lose(err error) {
	if k.lost == nil {
		k.tell(fmt.Errorf("cannot store the run %s: %w", k.meta.ID, err))
	}
	k.lost = err
}

func (k *keeper) tell(err error) {
	if k.say != nil {
		k.say(err)
	}
}

// end stores the rest.
func (k *keeper) end() error {
	k.flush(Interrupted)
	var err error
	if len(k.waiting) > 0 {
		err = k.comeBack() // which stores the state as well
	}
	if err == nil && len(k.pending) > 0 { // the last file has failed, and the database is back
		err = k.commit(Interrupted)
	}
	switch {
	case len(k.pending) > 0:
		err = fmt.Errorf("%d events of the run %s are lost: %w", countLines(k.pending), k.meta.ID, k.lost)
	case len(k.waiting) > 0:
		err = fmt.Errorf("%w: %s; \"stepctl db sync\" takes them in when the database is back", ErrWaiting, strings.Join(k.waiting, ", "))
	}
	if k.file != nil {
		err = errors.Join(err, k.file.Close())
	}
	return err
}
