package verify

import (
	"bytes"
	"errors"
	"io"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A message is one message of a stream, or bytes that are none.
type message struct {
	raw []byte
	// begin and end are the packets with its first byte and with its last.
	begin, end capture.Mark
	// from is the offset of its first byte in the stream, and to that behind its last.
	from, to int64
	// heardFirst and heard are how much of the other stream its sender had received when it sent
	// the first byte, and the last; -1 for not known.
	heardFirst, heard int64
	// unsure says that bytes before it are missing, so that others may be, too.
	unsure bool
	// cut says that its end is not there.
	cut bool
	// bad is why it is no message, from the wire's own code.
	bad *protocol.Error
}

// maxReplyBytes is the length of the longest reply that is read, in bytes. A client may
// accept less.
const maxReplyBytes = 1 << 20

// all is for messages: every message.
const all = 0

// messages cuts a stream into its messages, each at most maxBytes long; about the first of
// them, or all. Where bytes are missing it begins anew at the next place where a message seems
// to begin.
func messages(s *capture.Stream, maxBytes, first int) []message {
	var all []message
	for i, c := range s.Chunks {
		from := 0
		unsure := i > 0 || c.Offset > 0 || !s.Started
		if unsure {
			if from = resync(c); from < 0 {
				continue
			}
		}
		all = append(all, cut(c, from, maxBytes, first, unsure)...)
		if first > 0 && len(all) >= first {
			break
		}
	}
	return all
}

// cut cuts a chunk into messages from a place on.
func cut(c capture.Chunk, from, maxBytes, first int, unsure bool) []message {
	var all []message
	reader := protocol.NewReader(bytes.NewReader(c.Data[from:]), maxBytes)
	for {
		raw, err := reader.Next()
		for from < len(c.Data) && isSpace(c.Data[from]) {
			from++
		}
		if errors.Is(err, io.EOF) || first > 0 && len(all) == first {
			return all
		}
		m := message{begin: c.At(from), from: c.Offset + int64(from), heardFirst: c.HeardAt(from), unsure: unsure}
		if err == nil {
			m.raw = bytes.Clone(raw)
			from += len(raw)
			m.finish(c, from)
			all = append(all, m)
			continue
		}
		m.raw = c.Data[from:]
		m.finish(c, len(c.Data))
		m.cut = errors.Is(err, io.ErrUnexpectedEOF)
		errors.As(err, &m.bad)
		return append(all, m)
	}
}

// finish notes where the message ends in the chunk.
func (m *message) finish(c capture.Chunk, to int) {
	m.end, m.heard, m.to = c.At(to-1), c.HeardAt(to-1), c.Offset+int64(to)
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

// resync returns where a message seems to begin in a chunk whose beginning is in the middle of
// something, -1 when nowhere: at a brace that follows a newline or the end of a message, or
// that is the first byte of a packet.
func resync(c capture.Chunk) int {
	for i, b := range c.Data {
		if b == '{' && (i == 0 || c.Data[i-1] == '\n' || c.Data[i-1] == '}' || c.At(i).Packet != c.At(i-1).Packet) {
			return i
		}
	}
	return -1
}
