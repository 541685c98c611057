package auditwriter

import (
	"fmt"
	"time"
)

// A Status is the state of the record.
type Status struct {
	Enabled bool   `json:"enabled"`
	Dir     string `json:"dir,omitempty"`
	// File is the name of the file that is written; empty while none can be.
	File string `json:"file,omitempty"`
	// Written and Dropped count events since Open: those that were written to a
	// file, and those that were not.
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	// Lost counts those of the written events that are no longer in the folder, because their
	// file was removed, moved or changed while it was written, or the disk did not keep it.
	Lost uint64 `json:"lost"`
	// Queued is how many events wait to be written.
	Queued int `json:"queued"`
	// Error says why nothing is written now, and Since when that began.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Gap says why events are missing although Error was empty, and GapTime when that was last
	// noticed.
	Gap     string    `json:"gap,omitempty"`
	GapTime time.Time `json:"gap_time,omitzero"`
}

const (
	// gapShown is how long a past gap counts as trouble, so that the next look at the status
	// shows it.
	gapShown = time.Hour
	// stallTime is how long one batch may take before the status reports a stalled disk.
	stallTime = 5 * time.Second
)

// Trouble describes the present problem in one line; it is empty when there is none.
func (s Status) Trouble() string {
	switch {
	case s.Error != "":
		return "the record is not written: " + s.Error
	case s.Gap != "" && time.Since(s.GapTime) < gapShown:
		return fmt.Sprintf("events are missing in the record since %s: %s", s.GapTime.Format(time.DateTime), s.Gap)
	default:
		return ""
	}
}

// Status returns the present state.
func (w *Writer) Status() Status {
	queue := w.queue.Stats()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Queued, s.Dropped = queue.Queued, s.Dropped+queue.Dropped
	if stalled := time.Since(queue.BusySince); s.Error == "" && !queue.BusySince.IsZero() && stalled >= stallTime {
		s.Error = fmt.Sprintf("the disk has not answered for %v, %d events wait", stalled.Round(time.Second), queue.Queued)
		s.Since = queue.BusySince
	}
	return s
}

// update changes the status.
func (w *Writer) update(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
}
