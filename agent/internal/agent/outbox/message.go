package outbox

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
)

// A message is lines of one file and one kind.
type message struct {
	file   head
	offset int64 // of the first line
	lines  []byte
	events uint64 // in lines
	kind   fleet.Kind
	sent   jetstream.PubAckFuture // nil until it is sent, and after a failure
}

// end returns the position behind the message.
func (m *message) end() position { return position{m.file.name, m.offset + int64(len(m.lines))} }

// id names the place of the message in the records of all boards, and so what it holds.
func (m *message) id(board string) string {
	number, _ := auditlog.ParseFileName(m.file.name)
	file := strconv.FormatUint(number, 10)
	if number == 0 { // an earlier version named files by their time alone
		file = strings.Map(onlyDigits, m.file.name)
	}
	return fmt.Sprintf("%s.%s.%s.%d-%d", board, m.file.life, file, m.offset, m.offset+int64(len(m.lines)))
}

func onlyDigits(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

// divide returns two halves of the message; nil if it is one line.
func (m *message) divide() []*message {
	middle := bytes.IndexByte(m.lines[len(m.lines)/2:], '\n') + len(m.lines)/2 + 1
	if middle == len(m.lines) {
		middle = bytes.LastIndexByte(m.lines[:len(m.lines)-1], '\n') + 1
	}
	if middle == 0 {
		return nil
	}
	first, second := *m, *m
	first.lines, second.lines = m.lines[:middle], m.lines[middle:]
	second.offset += int64(middle)
	_, first.events, _, _ = run(first.lines, len(first.lines))
	second.events = m.events - first.events
	return []*message{&first, &second}
}

// run returns the first whole lines of text that are of one kind and take limit bytes at most, or the first
// line alone if it is longer: their length, the number of events in them, and their kind. whole says that no
// line that may follow belongs to them.
func run(text []byte, limit int) (n int, events uint64, kind fleet.Kind, whole bool) {
	for n < len(text) {
		end := bytes.IndexByte(text[n:], '\n')
		if end < 0 {
			return n, events, kind, n > 0 && len(text) >= limit
		}
		line := text[n : n+end+1]
		is, event := kindOf(line)
		if n > 0 && (is != kind || n+len(line) > limit) {
			return n, events, kind, true
		}
		n, kind = n+len(line), is
		if event {
			events++
		}
	}
	return n, events, kind, n >= limit
}

// kindOf returns the kind of result that a line is, and whether it is an event rather than the head of a
// file.
func kindOf(line []byte) (kind fleet.Kind, event bool) {
	word, quick := bytes.CutPrefix(line, []byte(`{"event":"`))
	word, _, ends := bytes.Cut(word, []byte(`"`))
	if !quick || !ends {
		var e struct {
			Event string `json:"event"`
		}
		_ = json.Unmarshal(line, &e) // a damaged line has no kind
		word = []byte(e.Event)
	}
	switch auditlog.Kind(word) {
	case auditlog.KindStep:
		return fleet.Steps, true
	case auditlog.KindSession, auditlog.KindSuspended, auditlog.KindResumed:
		return fleet.Sessions, true
	case auditlog.KindOpen:
		return fleet.Statuses, false
	default:
		return fleet.Statuses, true
	}
}

// lifeOf returns what distinguishes the process that wrote a file from all others of the board: when it
// started, from the first line; 0 for a file without one.
func lifeOf(file io.ReaderAt) string {
	text := make([]byte, readBytes)
	n, _ := file.ReadAt(text, 0) // a file that cannot be read has no first line
	line, _, _ := bytes.Cut(text[:n], []byte("\n"))
	var e auditlog.Event
	if err := json.Unmarshal(line, &e); err != nil || e.Open == nil {
		return "0"
	}
	return strconv.FormatInt(e.Open.Started.UnixNano(), 10)
}
