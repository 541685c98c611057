package journal

import (
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/trail"
)

const (
	// batchBytes is how much is written at once while events keep coming, in bytes.
	batchBytes = 64 << 10
	// retryEvery is the time from one try to write again to the next.
	retryEvery = 5 * time.Second
)

// A writer is the background of a journal: the one goroutine that touches files.
type writer struct {
	journal *Journal
	files   files

	file   file // nil while nothing can be written
	size   int64
	opened time.Time
	// batch are lines that are not written yet, events how many.
	batch  []byte
	events uint64
	// lost are events that were dropped and that no line tells of yet.
	lost  uint64
	cause string
	// again is when to try next, while nothing can be written.
	again time.Time
}

func (w *writer) run() {
	j := w.journal
	defer close(j.done)
	w.open()
	tick := time.NewTicker(min(retryEvery, j.options.FileAge))
	defer tick.Stop()
	for {
		select {
		case e := <-j.queue:
			w.take(e)
			w.takeRest()
		case <-tick.C:
		case <-j.stop:
			w.takeRest()
			w.close()
			return
		}
		w.attend()
	}
}

// takeRest takes what has come together in the queue, and writes it.
func (w *writer) takeRest() {
	for {
		select {
		case e := <-w.journal.queue:
			w.take(e)
		default:
			w.flush()
			return
		}
	}
}

// attend does what is due: another try, a new file, a note of what is missing.
func (w *writer) attend() {
	now := time.Now()
	switch {
	case w.file == nil && !now.Before(w.again):
		w.open()
	case w.file != nil && now.Sub(w.opened) >= w.journal.options.FileAge:
		w.rotate()
	}
	w.tellLost()
}

// take puts the event's line into the batch.
func (w *writer) take(e trail.Event) {
	if w.file == nil {
		w.drop(1)
		return
	}
	line, err := trail.AppendLine(nil, e)
	if err != nil {
		w.journal.log.Error("an event cannot be recorded", slog.Any("error", err))
		w.drop(1)
		return
	}
	if w.size+int64(len(w.batch)+len(line)) > w.journal.options.FileBytes {
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

// flush writes the batch. What was written of a batch that could not be written whole is
// taken back, so that the file ends with a whole line.
func (w *writer) flush() {
	if len(w.batch) == 0 {
		return
	}
	events := w.events
	_, err := w.file.Write(w.batch)
	if err != nil {
		_ = w.file.Truncate(w.size) // readers know a line that is cut off
		w.batch, w.events = w.batch[:0], 0
		w.drop(events)
		w.fail(err)
		return
	}
	w.size += int64(len(w.batch))
	w.batch, w.events = w.batch[:0], 0
	w.journal.note(func(s *Status) { s.Written += events })
}

// open begins a new file.
func (w *writer) open() {
	o := w.journal.options
	file, name, err := w.files.create(o.Dir, time.Now())
	if err != nil {
		w.fail(err)
		return
	}
	w.file, w.size, w.opened = file, 0, time.Now()
	line, err := trail.AppendLine(nil, trail.Event{Kind: trail.KindOpen, Time: w.opened, Open: &o.Open})
	if err == nil {
		_, err = file.Write(line)
	}
	if err != nil {
		w.files.remove(o.Dir, name) // nothing is in it
		w.fail(err)
		return
	}
	w.size = int64(len(line))
	if err := w.files.prune(o.Dir, name, o.TotalBytes-o.FileBytes); err != nil {
		w.journal.log.Warn("old records cannot be removed", slog.String("dir", o.Dir), slog.Any("error", err))
	}
	failed := false
	w.journal.note(func(s *Status) {
		failed = s.Error != ""
		s.File, s.Error, s.Since = name, "", time.Time{}
	})
	if failed {
		w.journal.log.Info("the record is written again", slog.String("file", name), slog.Uint64("dropped", w.lost))
	}
}

// rotate exchanges the file for a new one.
func (w *writer) rotate() {
	w.flush()
	w.closeFile()
	w.open()
}

// fail gives the file up until the next try.
func (w *writer) fail(err error) {
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
			slog.String("dir", w.journal.options.Dir), slog.Any("error", err))
	}
}

func (w *writer) closeFile() {
	if w.file == nil {
		return
	}
	_ = w.file.Sync()  // whether a disk keeps what it took is not known before
	_ = w.file.Close() // everything was written
	w.file = nil
}

// close writes what is left and ends.
func (w *writer) close() {
	w.tellLost()
	w.closeFile()
	w.journal.note(func(s *Status) { s.File = "" })
}

func (w *writer) drop(n uint64) {
	w.lost += n
	w.journal.note(func(s *Status) { s.Dropped += n })
}

// tellLost writes how many events are missing, where that can be written.
func (w *writer) tellLost() {
	if missed := w.journal.missed.Swap(0); missed > 0 {
		w.drop(missed)
		w.cause = "events came faster than they could be written"
	}
	if w.lost == 0 || w.file == nil {
		return
	}
	note := &trail.Dropped{Count: w.lost, Cause: w.cause}
	w.lost = 0
	w.take(trail.Event{Kind: trail.KindDropped, Time: time.Now(), Dropped: note})
	w.flush()
	if w.file == nil { // it is still to be told
		w.lost += note.Count
	}
}
