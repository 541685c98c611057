package auditlog

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Limits of what is read.
const (
	// MaxLineBytes is the length of the longest line, in bytes.
	MaxLineBytes = 1 << 20
	// MaxSessionEvents is how many events of one session are kept.
	MaxSessionEvents = 1 << 20
)

// A SessionEvents is what the agent's record says of one session.
type SessionEvents struct {
	// Opens are the lives of the agent that wrote of it, in the order of the files.
	Opens []Open
	// Steps are the session's steps, and Ends its ends: a name may have several sessions.
	Steps []StepEvent
	Ends  []Session
	// Dropped is how many events are missing in the files that were read, of any session.
	Dropped uint64
	// Torn are files whose last line is cut off, as when the agent was killed.
	Torn []string
}

// A StepEvent is a step with the time of its arrival.
type StepEvent struct {
	Arrived time.Time
	Step
}

// ReadSession reads the file at path, or all files of the record in the folder at path, and returns
// what they say of the session.
func ReadSession(path, session string) (SessionEvents, error) {
	info, err := os.Stat(path)
	if err != nil {
		return SessionEvents{}, fmt.Errorf("cannot read the agent's record: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(escape(path), "*"+Suffix)); err != nil {
			return SessionEvents{}, err
		}
		if len(files) == 0 {
			return SessionEvents{}, fmt.Errorf("cannot read the agent's record: %s holds no file that ends with %s", path, Suffix)
		}
	}
	slices.SortFunc(files, CompareFiles)
	var found SessionEvents
	for _, name := range files {
		err := found.file(name, session)
		if errors.Is(err, fs.ErrNotExist) && info.IsDir() {
			continue // the agent has removed it meanwhile, being the oldest
		}
		if err != nil {
			return SessionEvents{}, err
		}
	}
	return found, nil
}

// escape takes the meaning from the characters of a folder's name that filepath.Match knows.
func escape(folder string) string {
	var b bytes.Buffer
	for _, r := range folder {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (f *SessionEvents) file(name, session string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("cannot read the agent's record: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	var open *Open
	torn, err := Read(file, name, func(e Event) error {
		switch e.Kind {
		case KindOpen:
			open = e.Open
		case KindDropped:
			f.Dropped += e.Dropped.Count
		case KindStep:
			if e.Step.Session != session {
				return nil
			}
			f.Steps = append(f.Steps, StepEvent{e.Time, *e.Step})
		case KindSession:
			if e.Session.Session != session {
				return nil
			}
			f.Ends = append(f.Ends, *e.Session)
		}
		if open != nil && (e.Kind == KindStep || e.Kind == KindSession) {
			f.Opens, open = append(f.Opens, *open), nil
		}
		if len(f.Steps)+len(f.Ends) > MaxSessionEvents {
			return fmt.Errorf("the session has more than %d events", MaxSessionEvents)
		}
		return nil
	})
	if torn {
		f.Torn = append(f.Torn, name)
	}
	return err
}

// Read calls take for each event of one file, in order. A last line without an end is left
// out and told by torn. Errors begin with name:line.
func Read(r io.Reader, name string, take func(Event) error) (torn bool, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return len(line) > 0, nil
		}
		var e Event
		if err == nil {
			e, err = decode(line, number == 1)
		}
		if err == nil {
			err = take(e)
		}
		if err != nil {
			return false, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
}

// decode reads one line. Events of unknown kinds come back as they are.
func decode(line []byte, first bool) (Event, error) {
	var head struct {
		Kind Kind `json:"event"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return Event{}, fmt.Errorf("no event of an agent's record: %w", plain(err))
	}
	if first && head.Kind != KindOpen {
		return Event{}, errors.New("an agent's record begins with an open event; is this the record of a run?")
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("no %s event of an agent's record: %w", head.Kind, plain(err))
	}
	missing := e.Kind == KindOpen && e.Open == nil || e.Kind == KindStep && e.Step == nil ||
		e.Kind == KindSession && e.Session == nil || e.Kind == KindDropped && e.Dropped == nil
	switch {
	case missing:
		return Event{}, fmt.Errorf("a %s event with nothing in it", e.Kind)
	case e.Kind == KindOpen && e.Open.Format != Format:
		return Event{}, fmt.Errorf("format %d is not known, this program reads format %d", e.Open.Format, Format)
	}
	return e, nil
}

// plain takes Go types from an error about a value.
func plain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s must not be of the type %s", cmp.Or(wrong.Field, "the line"), wrong.Value)
	}
	return err
}

// readLine returns the next line without its newline; with io.EOF, what follows the last.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > MaxLineBytes:
			return nil, fmt.Errorf("the line is longer than %d bytes", MaxLineBytes)
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}
