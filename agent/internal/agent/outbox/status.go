package outbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// A Status is the state of an outbox.
type Status struct {
	Enabled bool `json:"enabled"`
	// Published counts the events that the stream has, and Dropped those that it will not get, since the
	// record was published first, in earlier processes too.
	Published uint64 `json:"published"`
	Dropped   uint64 `json:"dropped"`
	// Messages counts the messages that the stream has acknowledged since the agent started. Of them it
	// had Duplicates before.
	Messages   uint64 `json:"messages"`
	Duplicates uint64 `json:"duplicates"`
	// LagBytes is the size of what the stream does not have yet, and LagSeconds the age of its first
	// event.
	LagBytes   int64         `json:"lag_bytes"`
	LagSeconds jsonl.Seconds `json:"lag_seconds"`
	// Error says why the stream takes nothing now, though there is a connection, and Since when that began.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Gap says why events were dropped, and GapTime when that was last.
	Gap     string    `json:"gap,omitempty"`
	GapTime time.Time `json:"gap_time,omitzero"`
}

// gapShown is how long a gap counts as trouble, so that the next look at the status shows it.
const gapShown = time.Hour

// Trouble describes the present problem in one line; it is empty when there is none.
func (s Status) Trouble() string {
	switch {
	case s.Error != "":
		return "results are not published: " + s.Error
	case s.Gap != "" && time.Since(s.GapTime) < gapShown:
		return fmt.Sprintf("results are missing in NATS, %d events in all, the last since %s: %s", s.Dropped, s.GapTime.Format(time.DateTime), s.Gap)
	default:
		return ""
	}
}

// Status returns the present state. It reads the folder of the record.
func (b *Outbox) Status() Status {
	b.mu.Lock()
	s, at := b.status, b.cursor.position
	s.Enabled, s.Published, s.Dropped = true, b.cursor.Published, b.cursor.Dropped
	b.mu.Unlock()
	var first time.Time
	s.LagBytes, first = unsent(b.options.Dir, at)
	if !first.IsZero() {
		s.LagSeconds = jsonl.Seconds(max(time.Since(first), 0))
	}
	return s
}

// unsent returns how many bytes of a record come after a position, and the time of the first event there.
func unsent(dir string, at position) (size int64, first time.Time) {
	names, _ := listFiles(dir) // what cannot be read counts as empty
	for _, name := range names {
		from := int64(0)
		if at.File != "" {
			switch order := auditlog.CompareFiles(name, at.File); {
			case order < 0:
				continue
			case order == 0:
				from = at.Offset
			}
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() <= from {
			continue
		}
		if size == 0 {
			first = timeAt(filepath.Join(dir, name), from)
		}
		size += info.Size() - from
	}
	return size, first
}

// timeAt returns the time of the event at an offset; zero if there is none.
func timeAt(path string, offset int64) time.Time {
	file, err := os.Open(path)
	if err != nil {
		return time.Time{}
	}
	defer func() { _ = file.Close() }() // it was only read
	line, err := bufio.NewReader(io.NewSectionReader(file, offset, auditlog.MaxLineBytes)).ReadBytes('\n')
	var e struct {
		Time time.Time `json:"time"`
	}
	if err != nil || json.Unmarshal(line, &e) != nil {
		return time.Time{}
	}
	return e.Time
}

const causeRemoved = "the record removed them to stay within record.total_mib, before NATS had them"

// Removing counts the events of a file that the record is about to remove, as far as they were not sent. The
// writer of the record calls it.
func (b *Outbox) Removing(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := filepath.Base(path)
	from, skipped := b.tail.skip(name)
	if !skipped {
		if b.gone == "" || auditlog.CompareFiles(b.gone, name) < 0 {
			b.gone = name // what is in the window of it is sent once more at most
		}
		return
	}
	b.gone = name
	events, err := countEvents(path, from)
	if err != nil {
		b.options.Log.Warn("a file of the record is removed before it was sent, and its events cannot be counted",
			slog.String("file", name), slog.Any("error", err))
	}
	b.drop(events, causeRemoved)
	b.saveCursor(false)
}

// countEvents returns how many events a file has from an offset on.
func countEvents(path string, from int64) (events uint64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	if _, err = file.Seek(from, io.SeekStart); err != nil {
		return 0, err
	}
	buffer := make([]byte, readBytes)
	for begins := from == 0; ; begins = false {
		n, err := file.Read(buffer)
		events += uint64(bytes.Count(buffer[:n], []byte("\n")))
		if begins && n > 0 {
			if _, event := kindOf(buffer[:n]); !event {
				events-- // the head of the file
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return events, err
		}
	}
}
