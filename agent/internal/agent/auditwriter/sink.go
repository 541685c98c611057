package auditwriter

import (
	"errors"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

const (
	// batchBytes is how much is written at once while events keep coming, in bytes.
	batchBytes = 64 << 10
	// retryEvery is the time from one try to write again to the next, and from one look at a
	// file to the next while no events come.
	retryEvery = 5 * time.Second
	// replaceEvery is the least time from one new file for one that was not found to the next:
	// a file system that gives no steady answer must not be flooded with files.
	replaceEvery = time.Second
)

// A writer is the background of a journal: the one goroutine that touches files.
type sink struct {
	journal *Writer
	options Options
	files   files

	file   file // nil while nothing can be written
	name   string
	size   int64
	opened time.Time
	inFile uint64 // events that were written to the file
	// batch are lines that are not written yet, events how many.
	batch  []byte
	events uint64
	// missing are events that no file has and that no line tells of yet.
	missing uint64
	cause   string
	// again is when to try next, while nothing can be written; replaced is when a file was
	// last begun because the one before was not found.
	again, replaced time.Time
}

func (w *sink) run() {
	defer close(w.journal.done)
	w.open()
	tick := time.NewTicker(min(retryEvery, w.options.FileAge))
	defer tick.Stop()
	var spare []auditlog.Event // of the round before, to be filled again
	for {
		events, changes, closed := w.journal.begin(spare)
		w.take(events)
		clear(events)
		spare = events[:0]
		w.look()
		for _, c := range changes {
			w.change(c)
			tick.Reset(min(retryEvery, w.options.FileAge))
		}
		w.attend()
		if closed {
			break
		}
		w.journal.end()
		select {
		case <-w.journal.wake:
		case <-tick.C:
		}
	}
	w.close()
	w.journal.end()
}

// begin gives the writer what has come together, and leaves it the spare room.
func (j *Writer) begin(spare []auditlog.Event) (events []auditlog.Event, changes []*Change, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy = time.Now()
	events, j.waiting = j.waiting, spare
	changes, j.changes = j.changes, nil
	j.taken = len(events)
	return events, changes, j.closed
}

// end notes that the writer waits for events.
func (j *Writer) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy, j.taken = time.Time{}, 0
}

// take writes the events.
func (w *sink) take(events []auditlog.Event) {
	for i := range events {
		w.add(&events[i])
	}
	w.flush()
}

// change goes on with other options, in a new file.
func (w *sink) change(c *Change) {
	w.options = c.options
	w.closeFile()
	if c.folder != nil {
		w.files.release()
		w.files = c.folder
	} else {
		w.files.move(c.options.Dir)
	}
	w.journal.note(func(s *Status) { s.Dir = c.options.Dir })
	w.open()
}

// attend does what is due: another try, a new file, a note of what is missing.
func (w *sink) attend() {
	now := time.Now()
	switch {
	case w.file == nil && !now.Before(w.again):
		w.open()
	case w.file != nil && now.Sub(w.opened) >= w.options.FileAge:
		w.rotate()
	}
	w.tellMissing()
}

// add puts the event's line into the batch.
func (w *sink) add(e *auditlog.Event) {
	if w.file == nil {
		w.drop(1)
		return
	}
	line, err := auditlog.AppendLine(nil, *e)
	if err != nil {
		w.journal.log.Error("an event cannot be recorded", slog.Any("error", err))
		w.drop(1)
		return
	}
	if w.size+int64(len(w.batch)+len(line)) > w.options.FileBytes {
		w.flush()
		if w.size > 0 {
			w.rotate()
		}
		if w.file == nil {
			w.drop(1)
			return
		}
	}
	w.batch = append(w.batch, line...)
	w.events++
	if len(w.batch) >= batchBytes {
		w.flush()
	}
}

// flush writes the batch, to a new file where the present one has lost its name. What was
// written of a batch that could not be written whole is taken back, so that the file ends
// with a whole line.
func (w *sink) flush() {
	if len(w.batch) == 0 {
		return
	}
	w.look()
	events := w.events
	w.events = 0
	defer func() { w.batch = w.batch[:0] }()
	if w.file == nil {
		w.drop(events)
		return
	}
	_, err := w.file.Write(w.batch)
	if err != nil {
		_ = w.file.Truncate(w.size) // readers know a line that is cut off
		w.drop(events)
		w.fail(err)
		return
	}
	w.size += int64(len(w.batch))
	w.inFile += events
	w.journal.note(func(s *Status) { s.Written += events })
}

// look sees whether the file is still at its name, and begins a new one where it is not.
func (w *sink) look() {
	if w.file == nil {
		return
	}
	gone, err := w.file.look(w.size)
	if err == nil {
		return
	}
	if !gone {
		w.inFile = 0 // what was written is still there
	}
	w.lose(err)
	if time.Since(w.replaced) < replaceEvery {
		w.fail(err)
		return
	}
	w.replaced = time.Now()
	w.journal.log.Error("the record's file is not as it was written; a new one is begun",
		slog.String("dir", w.options.Dir), slog.Any("error", err), slog.Bool("events_gone", gone))
	w.closeFile()
	w.open()
}

// open begins a new file.
func (w *sink) open() {
	o := w.options
	file, name, err := w.files.create(time.Now())
	if err != nil {
		w.fail(err)
		return
	}
	w.file, w.name, w.size, w.opened, w.inFile = file, name, 0, time.Now(), 0
	line, err := auditlog.AppendLine(nil, auditlog.Event{Kind: auditlog.KindOpen, Time: w.opened, Open: &o.Open})
	if err == nil {
		_, err = file.Write(line)
	}
	if err != nil {
		w.files.remove(name) // nothing is in it
		w.fail(err)
		return
	}
	w.size = int64(len(line))
	if err := w.files.prune(name, o.TotalBytes-o.FileBytes); err != nil {
		w.journal.log.Warn("old records cannot be removed", slog.String("dir", o.Dir), slog.Any("error", err))
	}
	failed := false
	w.journal.note(func(s *Status) {
		failed = s.Error != ""
		s.File, s.Error, s.Since = name, "", time.Time{}
	})
	if failed {
		w.journal.log.Info("the record is written again", slog.String("file", name), slog.Uint64("missing", w.missing))
	}
}

// rotate exchanges the file for a new one.
func (w *sink) rotate() {
	w.flush()
	w.closeFile()
	w.open()
}

// fail gives the file up until the next try.
func (w *sink) fail(err error) {
	first := false
	w.journal.note(func(s *Status) {
		first = s.Error == ""
		if first {
			s.Since = time.Now()
		}
		s.File, s.Error = "", err.Error()
	})
	w.closeFile()
	w.again, w.cause = time.Now().Add(retryEvery), err.Error()
	if first {
		w.journal.log.Error("the record cannot be written; judging goes on without it",
			slog.String("dir", w.options.Dir), slog.Any("error", err))
	}
}

// closeFile closes the file. Whether a disk keeps what it took is not known before.
func (w *sink) closeFile() {
	if w.file == nil {
		return
	}
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	if err != nil {
		w.journal.log.Error("the disk has not kept the record", slog.String("file", w.name), slog.Any("error", err))
		w.lose(err)
	}
}

// close writes what is left and ends.
func (w *sink) close() {
	w.closeFile()
	w.files.release()
	w.journal.note(func(s *Status) { s.File = "" })
}

// drop counts events that are in no file.
func (w *sink) drop(n uint64) {
	w.missing += n
	w.journal.note(func(s *Status) { s.Dropped += n })
}

// lose counts the events of the file, which were written and are not there any more.
func (w *sink) lose(cause error) {
	lost := w.inFile
	w.inFile = 0
	w.missing += lost
	w.cause = cause.Error()
	w.gap(func(s *Status) { s.Lost += lost })
}

// gap notes that events are missing without an error that the status would have shown.
func (w *sink) gap(change func(*Status)) {
	w.journal.note(func(s *Status) {
		change(s)
		s.Gap, s.GapTime = w.cause, time.Now()
	})
}

// tellMissing writes how many events are missing, where that can be written.
func (w *sink) tellMissing() {
	if missed := w.journal.takeMissed(); missed > 0 {
		w.missing += missed
		w.cause = "events came faster than they could be written"
		w.gap(func(s *Status) { s.Dropped += missed })
	}
	if w.missing == 0 || w.file == nil {
		return
	}
	note := &auditlog.Dropped{Count: w.missing, Cause: w.cause}
	w.missing = 0
	w.add(&auditlog.Event{Kind: auditlog.KindDropped, Time: time.Now(), Dropped: note})
	w.flush()
	if w.file == nil { // it is still to be told
		w.missing += note.Count
	}
}

func (j *Writer) takeMissed() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	missed := j.missed
	j.missed = 0
	return missed
}
