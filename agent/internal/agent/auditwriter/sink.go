package auditwriter

import (
	"errors"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

const (
	// batchBytes is the size of the lines that one write takes while events keep coming.
	batchBytes = 64 << 10
	// retryInterval is the time between attempts to write again, and between checks of the file
	// while no events come.
	retryInterval = 5 * time.Second
	// replaceInterval is the least time between two new files for missing ones, so that a file
	// system with unstable answers is not flooded with files.
	replaceInterval = time.Second
)

// A sink writes queued events to files. One goroutine alone uses it.
type sink struct {
	writer  *Writer
	options Options
	files   files

	file   file // nil while nothing can be written
	name   string
	size   int64
	opened time.Time
	inFile uint64 // events in the file
	// batch holds lines that are not written yet, of batched events.
	batch   []byte
	batched uint64
	// missing counts events that are in no file and that no dropped event has reported yet;
	// cause says why. reported is how many that the queue has dropped are counted in it or were.
	missing, reported uint64
	cause             string
	// retryAt is when to try again, while nothing can be written; replaced is when a file was
	// last begun in place of a missing one.
	retryAt, replaced time.Time
}

// Write adds the line of an event to the batch, or applies a change.
func (s *sink) Write(e entry) {
	if e.change != nil {
		s.apply(e.change)
	} else {
		s.add(&e.event)
	}
}

// Flush writes the batch and does what is due: another attempt, a new file, a dropped event.
func (s *sink) Flush() time.Duration {
	s.writeBatch()
	s.checkFile()
	now := time.Now()
	switch {
	case s.file == nil && !now.Before(s.retryAt):
		s.openFile()
	case s.file != nil && now.Sub(s.opened) >= s.options.FileAge:
		s.rotate()
	}
	s.reportMissing()
	return min(retryInterval, s.options.FileAge)
}

// Close closes the file and unlocks the folder.
func (s *sink) Close() {
	s.closeFile()
	s.files.unlock()
	s.writer.update(func(st *Status) { st.File = "" })
}

// apply continues with other options, in a new file.
func (s *sink) apply(c *Change) {
	s.writeBatch()
	s.options = c.options
	s.closeFile()
	if c.folder != nil {
		s.files.unlock()
		s.files = c.folder
	} else {
		s.files.rename(c.options.Dir)
	}
	s.writer.update(func(st *Status) { st.Dir = c.options.Dir })
	s.openFile()
}

// add appends the event's line to the batch, of a new file where it does not fit.
func (s *sink) add(e *auditlog.Event) {
	if s.file == nil {
		s.drop(1)
		return
	}
	line, err := auditlog.AppendLine(nil, *e)
	if err != nil {
		s.writer.log.Error("an event cannot be recorded", slog.Any("error", err))
		s.drop(1)
		return
	}
	if s.size+int64(len(s.batch)+len(line)) > s.options.FileBytes {
		s.writeBatch()
		if s.size > 0 {
			s.rotate()
		}
		if s.file == nil {
			s.drop(1)
			return
		}
	}
	s.batch = append(s.batch, line...)
	s.batched++
	if len(s.batch) >= batchBytes {
		s.writeBatch()
	}
}

// writeBatch writes the batch, to a new file where the present one is missing. A batch that could
// be written in part only is truncated, so that the file ends with a whole line.
func (s *sink) writeBatch() {
	if len(s.batch) == 0 {
		return
	}
	s.checkFile()
	events := s.batched
	s.batched = 0
	defer func() { s.batch = s.batch[:0] }()
	if s.file == nil {
		s.drop(events)
		return
	}
	if _, err := s.file.Write(s.batch); err != nil {
		_ = s.file.Truncate(s.size) // readers skip a torn line
		s.drop(events)
		s.fail(err)
		return
	}
	s.size += int64(len(s.batch))
	s.inFile += events
	s.writer.update(func(st *Status) { st.Written += events })
}

// checkFile begins a new file where the present one was removed or changed by another program.
func (s *sink) checkFile() {
	if s.file == nil {
		return
	}
	gone, err := s.file.check(s.size)
	if err == nil {
		return
	}
	if !gone {
		s.inFile = 0 // its events are still there
	}
	s.countLost(err)
	if time.Since(s.replaced) < replaceInterval {
		s.fail(err)
		return
	}
	s.replaced = time.Now()
	s.writer.log.Error("the record's file was changed by another program; writing to a new one",
		slog.String("dir", s.options.Dir), slog.Any("error", err), slog.Bool("events_gone", gone))
	s.closeFile()
	s.openFile()
}

// openFile begins a new file and removes the oldest ones.
func (s *sink) openFile() {
	o := s.options
	file, name, err := s.files.create(time.Now())
	if err != nil {
		s.fail(err)
		return
	}
	s.file, s.name, s.size, s.opened, s.inFile = file, name, 0, time.Now(), 0
	line, err := auditlog.AppendLine(nil, auditlog.Event{Kind: auditlog.KindOpen, Time: s.opened, Open: &o.Open})
	if err == nil {
		_, err = file.Write(line)
	}
	if err != nil {
		s.files.remove(name) // it holds no event
		s.fail(err)
		return
	}
	s.size = int64(len(line))
	if err := s.files.prune(name, o.TotalBytes-o.FileBytes, o.Removing); err != nil {
		s.writer.log.Warn("old records cannot be removed", slog.String("dir", o.Dir), slog.Any("error", err))
	}
	failed := false
	s.writer.update(func(st *Status) {
		failed = st.Error != ""
		st.File, st.Error, st.Since = name, "", time.Time{}
	})
	if failed {
		s.writer.log.Info("the record is written again", slog.String("file", name), slog.Uint64("missing", s.missing))
	}
}

// rotate writes the batch and begins a new file.
func (s *sink) rotate() {
	s.writeBatch()
	s.closeFile()
	s.openFile()
}

// fail closes the file until the next attempt.
func (s *sink) fail(err error) {
	first := false
	s.writer.update(func(st *Status) {
		first = st.Error == ""
		if first {
			st.Since = time.Now()
		}
		st.File, st.Error = "", err.Error()
	})
	s.closeFile()
	s.retryAt, s.cause = time.Now().Add(retryInterval), err.Error()
	if first {
		s.writer.log.Error("the record cannot be written; judging goes on without it",
			slog.String("dir", s.options.Dir), slog.Any("error", err))
	}
}

// closeFile makes the file durable and closes it. Only now is it known whether the disk has
// stored the events.
func (s *sink) closeFile() {
	if s.file == nil {
		return
	}
	err := errors.Join(s.file.Sync(), s.file.Close())
	s.file = nil
	if err != nil {
		s.writer.log.Error("the disk has not stored the record", slog.String("file", s.name), slog.Any("error", err))
		s.countLost(err)
	}
}

// drop counts events that were not written.
func (s *sink) drop(n uint64) {
	s.missing += n
	s.writer.update(func(st *Status) { st.Dropped += n })
}

// countLost counts the events of the file, which were written and are lost.
func (s *sink) countLost(cause error) {
	lost := s.inFile
	s.inFile = 0
	s.noteGap(lost, cause.Error())
	s.writer.update(func(st *Status) { st.Lost += lost })
}

// noteGap counts events that are missing although the status has shown no error.
func (s *sink) noteGap(events uint64, cause string) {
	s.missing += events
	s.cause = cause
	s.writer.update(func(st *Status) { st.Gap, st.GapTime = cause, time.Now() })
}

// reportMissing writes a dropped event for the missing ones, where it can be written.
func (s *sink) reportMissing() {
	if dropped := s.writer.queue.Stats().Dropped; dropped > s.reported {
		s.noteGap(dropped-s.reported, "events came faster than they could be written")
		s.reported = dropped
	}
	if s.missing == 0 || s.file == nil {
		return
	}
	report := &auditlog.Dropped{Count: s.missing, Cause: s.cause}
	s.missing = 0
	s.add(&auditlog.Event{Kind: auditlog.KindDropped, Time: time.Now(), Dropped: report})
	s.writeBatch()
	if s.file == nil { // it was not written
		s.missing += report.Count
	}
}
