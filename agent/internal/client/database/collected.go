package database

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// maxMessageID is the length of the longest id of a message, in bytes.
const maxMessageID = 512

// A Message is a message with lines of an agent's record.
type Message struct {
	// ID identifies the message. A message that is sent again has the same.
	ID string
	// Subject says fleet, board and kind, as package fleet does.
	Subject string
	// Sequence is its number in the stream, Published when the server has stored it.
	Sequence  uint64
	Published time.Time
	// Body is whole lines; the last may have no newline.
	Body []byte
}

// Stored says what StoreMessages has done.
type Stored struct {
	// Messages were new, Known had been stored before.
	Messages, Known int64
	// Events are the new ones in them.
	Events int64
	// Rejected are the messages that were put aside.
	Rejected []Rejected
}

// A Rejected is a message that was put aside.
type Rejected struct {
	// Index is its place in the messages that were to be stored.
	Index int
	// Problem says why it cannot be read.
	Problem error
}

// An agentMessage is a message that was read.
type agentMessage struct {
	Message
	fleet, board string
	kind         fleet.Kind
	events       []agentEvent
}

// An agentEvent is a line of an agent's record.
type agentEvent struct {
	event auditlog.Event
	line  []byte // without its newline
}

// readMessage reads a message. Its error says why it has to be put aside.
func readMessage(m Message) (*agentMessage, error) {
	read := &agentMessage{Message: m}
	var ok bool
	read.fleet, read.board, read.kind, ok = fleet.Parse(m.Subject)
	switch {
	case !ok:
		return nil, fmt.Errorf("the subject %.80q is not that of a result", m.Subject)
	case m.ID == "":
		return nil, errors.New("it has no id, by which it could be told from one that is sent again")
	case len(m.ID) > maxMessageID || !utf8.ValidString(m.ID) || m.ID != storable(m.ID):
		return nil, fmt.Errorf("the id %.80q is longer than %d bytes, or no text", m.ID, maxMessageID)
	}
	if err := CheckName("fleet", read.fleet); err != nil {
		return nil, err
	}
	if err := CheckName("board", read.board); err != nil {
		return nil, err
	}
	for line := range bytes.Lines(m.Body) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		e, err := auditlog.Decode(line)
		if err == nil && !storableTime(e.Time) {
			err = fmt.Errorf("the time %v is not one that can be stored", e.Time)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the message is %w", len(read.events)+1, err)
		}
		if n := sessionBytes(&e); n > MaxNameBytes {
			return nil, fmt.Errorf("line %d of the message has a session name of %d bytes; at most %d", len(read.events)+1, n, MaxNameBytes)
		}
		read.events = append(read.events, agentEvent{e, line})
	}
	if len(read.events) == 0 {
		return nil, errors.New("it has no event")
	}
	return read, nil
}

// sessionName returns the name of a session as it is stored.
func sessionName(id string) string { return storable(auditlog.SessionName(id)) }

// sessionBytes returns the length of an event's longest session name. It is part of an index, in which
// PostgreSQL stores no more than a third of a page.
func sessionBytes(e *auditlog.Event) (n int) {
	if e.Step != nil {
		n = len(sessionName(e.Step.Session))
	}
	if e.Session != nil {
		n = max(n, len(sessionName(e.Session.Session)))
	}
	return n
}

// storableTime reports whether both engines accept a time: PostgreSQL has no year 0.
func storableTime(at time.Time) bool { return at.UTC().Year() >= 1 && at.UTC().Year() <= 9999 }

// hexSum returns the SHA-256 of the parts.
func hexSum(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// agentColumns are the columns of an event, in the order of agentValues.
const agentColumns = `board, at, digest, fleet, message, line, kind, session, session_id, identity, client, step_id, position, error_code, reason,
	detail, fault, replayed, generation, judged, replied, verdict, cause, steps, of_steps, passed, failed, undecided, duration`

// Places in agentColumns.
const (
	ofBoth    = 7 // from session on
	ofSession = 21
	ofAll     = 29
)

// agentValues returns the columns of an event. Those that its kind does not have are nil.
func agentValues(m *agentMessage, e *agentEvent) []any {
	values := make([]any, ofAll)
	copy(values, []any{m.board, Time(e.event.Time), hexSum(e.line)[:16], m.fleet, m.ID, string(e.line), storable(string(e.event.Kind))})
	if s := e.event.Step; s != nil {
		copy(values[ofBoth:], []any{sessionName(s.Session), storable(s.Session), OrNull(storable(s.Identity)), storable(s.Client),
			s.StepID, s.Position, s.ErrorCode, storable(s.Reason), storable(s.Detail), OrNull(storable(s.Fault)), number(s.Replayed),
			int64(s.Generation), seconds(s.Judged), nil})
		if s.Replied != nil {
			values[ofSession-1] = seconds(*s.Replied)
		}
	}
	if s := e.event.Session; s != nil {
		copy(values[ofBoth:], []any{sessionName(s.Session), storable(s.Session), OrNull(storable(s.Identity)), storable(s.Client)})
		copy(values[ofSession:], []any{OrNull(storable(s.Verdict)), OrNull(storable(s.Cause)), s.Steps, s.Of, s.Passed, s.Failed, s.Undecided,
			seconds(s.Duration)})
	}
	return values
}

func seconds(s jsonl.Seconds) float64 { return time.Duration(s).Seconds() }

// number returns a bool as a column has it.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
