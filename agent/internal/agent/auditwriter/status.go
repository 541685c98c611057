package auditwriter

import (
	"fmt"
	"time"
)

// A Status says how the journal fares.
type Status struct {
	Enabled bool   `json:"enabled"`
	Dir     string `json:"dir,omitempty"`
	// File is the name of the file that is written; empty while none can be.
	File string `json:"file,omitempty"`
	// Written and Dropped count events since the journal was opened: those that went into a
	// file, and those that never did.
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	// Lost counts those of the written events that are no longer in the folder, because their
	// file was removed, moved or changed while it was written, or the disk did not keep it.
	Lost uint64 `json:"lost"`
	// Error says why nothing is written now, and Since when that began; empty when all is
	// well.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Gap says why events are missing that were noticed too late to be seen in Error, and
	// GapTime when it was last noticed.
	Gap     string    `json:"gap,omitempty"`
	GapTime time.Time `json:"gap_time,omitzero"`
}

const (
	// gapShown is how long a gap that is over counts as trouble, so that it is seen at
	// the next look at the status.
	gapShown = time.Hour
	// stallTime is how long the disk may take over one batch before the status tells of it.
	stallTime = 5 * time.Second
)

// Trouble says in one line what is not as it should be; empty when all is well.
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

// Status returns how the journal fares now.
func (j *Writer) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.status
	s.Dropped += j.missed
	if stalled := time.Since(j.busy); s.Error == "" && !j.busy.IsZero() && stalled >= stallTime {
		s.Error = fmt.Sprintf("the disk has not answered for %v, %d events wait", stalled.Round(time.Second), len(j.waiting)+j.taken)
		s.Since = j.busy
	}
	return s
}

// note changes the status.
func (j *Writer) note(change func(*Status)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.status)
}
