package match

import (
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Message is one message of a stream, or bytes that are none.
type Message struct {
	Raw []byte
	// Begin and End are the packets with the first byte and the last.
	Begin, End capture.Mark
	// From and To are the offsets in the stream of the first byte and behind the last.
	From, To int64
	// AckedAtBegin and AckedAtEnd are the bytes of the other stream that the sender had
	// acknowledged when it sent the first byte and the last; -1 when not known.
	AckedAtBegin, AckedAtEnd int64
	// AfterGap says that bytes before the message are missing, and so may be other messages.
	AfterGap bool
	// Cut says that the end of the message is missing.
	Cut bool
	// Malformed is why the codec does not accept the bytes as a message; nil when it does.
	Malformed *protocol.Error
}

// maxReplyBytes bounds a reply; a client may accept less.
const maxReplyBytes = 1 << 20

// messages cuts a stream into messages of at most maxBytes. After missing bytes it resynchronizes
// at the next probable begin.
func messages(s *capture.Stream, maxBytes int) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for i, c := range s.Chunks {
			from, afterGap := 0, i > 0 || c.Offset > 0 || !s.Started
			if afterGap {
				from = resync(c)
			}
			if from >= 0 && !cut(c, from, maxBytes, afterGap, yield) {
				return
			}
		}
	}
}

// cut cuts a chunk into messages, beginning at from. It returns false if yield did.
func cut(c capture.Chunk, from, maxBytes int, afterGap bool, yield func(Message) bool) bool {
	reader := protocol.NewReader(bytes.NewReader(c.Data[from:]), maxBytes)
	for {
		raw, err := reader.Next()
		for from < len(c.Data) && bytes.IndexByte([]byte(" \n\r\t"), c.Data[from]) >= 0 {
			from++
		}
		if errors.Is(err, io.EOF) {
			return true
		}
		begin, to := from, len(c.Data)
		m := Message{Raw: c.Data[from:], AfterGap: afterGap}
		if err == nil {
			to = from + len(raw)
			m.Raw = bytes.Clone(raw)
		} else {
			m.Cut = errors.Is(err, io.ErrUnexpectedEOF)
			errors.As(err, &m.Malformed)
		}
		m.Begin, m.AckedAtBegin, m.From = c.At(begin), c.AckedAt(begin), c.Offset+int64(begin)
		m.End, m.AckedAtEnd, m.To = c.At(to-1), c.AckedAt(to-1), c.Offset+int64(to)
		if !yield(m) {
			return false
		}
		if err != nil {
			return true
		}
		from = to
	}
}

// resync returns where a message probably begins in a chunk that starts in mid-stream: at a
// brace that follows a newline or a brace, or that begins a packet; -1 for nowhere.
func resync(c capture.Chunk) int {
	for i, b := range c.Data {
		if b == '{' && (i == 0 || c.Data[i-1] == '\n' || c.Data[i-1] == '}' || c.At(i).Packet != c.At(i-1).Packet) {
			return i
		}
	}
	return -1
}
