package auditlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// Limits of what is read.
const (
	// MaxLineBytes is the length of the longest line, in bytes.
	MaxLineBytes = 1 << 20
	// MaxSessionEvents is the largest number of events of one session name.
	MaxSessionEvents = 1 << 20
)

// SessionEvents are the events of one session name.
type SessionEvents struct {
	// Opens describe the agent processes that wrote the events, in the order of the files.
	Opens []Open
	// Steps are the steps of the sessions. Ends has more than one item if the name was reused, or if
	// clients with different identities or addresses have used it.
	Steps []StepEvent
	Ends  []Session
	// Absences are the times without an agent in the sessions.
	Absences []Absence
	// Dropped is how many events, of any session, the files say are missing.
	Dropped uint64
	// Torn are files whose last line is incomplete, as after the agent was killed.
	Torn []string
}

// A StepEvent is a step with the time of its arrival.
type StepEvent struct {
	Arrived time.Time
	Step
}

// An Absence is a time without an agent in an open session.
type Absence struct {
	// Session is the session's id, Position how many of its steps had been judged.
	Session  string
	Position int
	// From is when the agent stopped; if it was killed, when the last step before had arrived. To is
	// when the agent was back, zero where the record does not say.
	From, To time.Time
}

// ReadSession reads the events of all sessions of a name, of every owner, from the file at path, or
// from all files of the record in the folder at path.
func ReadSession(path, session string) (SessionEvents, error) {
	info, err := os.Stat(path)
	if err != nil {
		return SessionEvents{}, fmt.Errorf("cannot read the agent's record: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = fs.Glob(os.DirFS(path), "*"+Suffix); err != nil {
			return SessionEvents{}, err
		}
		for i, name := range files {
			files[i] = filepath.Join(path, name)
		}
		if len(files) == 0 {
			return SessionEvents{}, fmt.Errorf("cannot read the agent's record: %s holds no file that ends with %s", path, Suffix)
		}
	}
	slices.SortFunc(files, CompareFiles)
	var events SessionEvents
	for _, name := range files {
		err := events.readFile(name, session)
		if errors.Is(err, fs.ErrNotExist) && info.IsDir() {
			continue // the agent has removed it, as the oldest file
		}
		if err != nil {
			return SessionEvents{}, err
		}
	}
	return events, nil
}

func (s *SessionEvents) readFile(name, session string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("cannot read the agent's record: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	var open *Open                      // of this file, until it is in s.Opens
	torn, err := Read(file, name, func(e Event) error {
		switch e.Kind {
		case KindOpen:
			open = e.Open
		case KindDropped:
			s.Dropped += e.Dropped.Count
		case KindStep:
			if SessionName(e.Step.Session) != session {
				return nil
			}
			s.Steps = append(s.Steps, StepEvent{e.Time, *e.Step})
		case KindSession:
			if SessionName(e.Session.Session) != session {
				return nil
			}
			s.Ends = append(s.Ends, *e.Session)
		case KindSuspended, KindResumed:
			if SessionName(e.Session.Session) != session {
				return nil
			}
			s.addAbsence(e)
		}
		if open != nil && (e.Kind == KindStep || e.Kind == KindSession) {
			s.Opens, open = append(s.Opens, *open), nil
		}
		if len(s.Steps)+len(s.Ends)+len(s.Absences) > MaxSessionEvents {
			return fmt.Errorf("the session has more than %d events", MaxSessionEvents)
		}
		return nil
	})
	if torn {
		s.Torn = append(s.Torn, name)
	}
	return err
}

// addAbsence adds what an event says about the time without an agent in its session.
func (s *SessionEvents) addAbsence(e Event) {
	of := Absence{Session: e.Session.Session, Position: e.Session.Steps, From: e.Time}
	if e.Kind == KindSuspended {
		s.Absences = append(s.Absences, of)
		return
	}
	for i := len(s.Absences) - 1; i >= 0; i-- {
		if last := &s.Absences[i]; last.Session == of.Session && last.To.IsZero() {
			last.To = e.Time
			return
		}
	}
	of.To = e.Time
	for _, step := range s.Steps {
		if step.Session == of.Session {
			of.From = step.Arrived
		}
	}
	s.Absences = append(s.Absences, of)
}

// Read calls each for every event of one file, in order; see jsonl.Read.
func Read(r io.Reader, name string, each func(Event) error) (torn bool, err error) {
	return jsonl.Read(r, name, MaxLineBytes, func(number int, line []byte) error {
		e, err := decode(line, number == 1)
		if err != nil {
			return err
		}
		return each(e)
	})
}

// Decode reads one line of a file, without its newline. Events of unknown kinds are returned too.
func Decode(line []byte) (Event, error) { return decode(line, false) }

// decode reads one line. Events of unknown kinds are returned too.
func decode(line []byte, first bool) (Event, error) {
	var e Event
	err := json.Unmarshal(line, &e) // with an error too it has the kind, the first member
	switch {
	case err != nil && e.Kind == "":
		return Event{}, fmt.Errorf("no event of an agent's record: %w", jsonl.PlainError(err))
	case first && e.Kind != KindOpen:
		return Event{}, errors.New("an agent's record begins with an open event; is this the record of a run?")
	case err != nil:
		return Event{}, fmt.Errorf("no %s event of an agent's record: %w", e.Kind, jsonl.PlainError(err))
	}
	ofSession := e.Kind == KindSession || e.Kind == KindSuspended || e.Kind == KindResumed
	empty := e.Kind == KindOpen && e.Open == nil || e.Kind == KindStep && e.Step == nil ||
		ofSession && e.Session == nil || e.Kind == KindDropped && e.Dropped == nil
	switch {
	case empty:
		return Event{}, fmt.Errorf("a %s event with nothing in it", e.Kind)
	case e.Kind == KindOpen && e.Open.Format != Format:
		return Event{}, fmt.Errorf("format %d is not known, this program reads format %d", e.Open.Format, Format)
	}
	return e, nil
}
