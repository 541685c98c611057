package protocol

import (
	"errors"
	"fmt"
	"io"
)

// The memory of a Reader, in bytes. It begins with an inner buffer, enough for a common request, and
// allocates a buffer only for a longer message or for several at once.
const (
	innerBufferBytes = 128
	firstBufferBytes = 512
	// keptBufferBytes is the largest buffer that a Reader keeps while it is empty.
	keptBufferBytes = 512
)

// maxEmptyReads is how often in a row the source may return neither bytes nor an error.
const maxEmptyReads = 100

// A Reader splits a stream of bytes into messages.
//
// A message is one JSON object. It ends with its closing brace: nothing need follow, and white
// space around it is skipped. The Reader looks at braces and strings only, so a message may still be
// invalid JSON, which DecodeRequest and DecodeReply report.
//
// A Reader is for one goroutine at a time and must not be copied.
type Reader struct {
	source io.Reader
	max    int

	// buf[start:] was read and not yet returned. cap(buf) is at most max, or what max was when the
	// buffer was allocated.
	buf   []byte
	start int
	inner [innerBufferBytes]byte

	// The state of scan, which has seen this many bytes of the message at start.
	seen     int
	depth    int
	inString bool
	escaped  bool

	failed    *Error // returned by every later call
	sourceErr error  // came together with bytes, and is returned after them
}

// NewReader returns a Reader of messages of at most maxBytes bytes each; 0 or less means
// DefaultMaxMessageBytes. White space between messages does not count.
func NewReader(r io.Reader, maxBytes int) *Reader {
	reader := &Reader{source: r}
	reader.SetMax(maxBytes)
	reader.shrink()
	return reader
}

// SetMax changes the limit, from the next message on; 0 or less means DefaultMaxMessageBytes.
func (r *Reader) SetMax(maxBytes int) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxMessageBytes
	}
	r.max = maxBytes
}

// Wait blocks until the first byte of the next message has been read. It returns io.EOF when the
// stream ends before that, and other errors of the source unchanged. After a timeout of the source
// it may be called again.
func (r *Reader) Wait() error {
	for {
		if r.failed != nil {
			return r.failed
		}
		r.skipSpace()
		if r.start < len(r.buf) {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// Next returns the next message, and blocks until it is complete. The bytes are valid until the next
// call of Wait or Next.
//
// The error is io.EOF when the stream ends between messages and io.ErrUnexpectedEOF when it ends
// within one. An *Error with reason BadMessage means that the stream has something that is not a
// message, or one that is too long; every later call returns it again. Other errors are those of
// the source; after a timeout Next may be called again and continues the message.
func (r *Reader) Next() ([]byte, error) {
	if err := r.Wait(); err != nil {
		return nil, err
	}
	if r.buf[r.start] != '{' {
		return nil, r.fail(foreign(r.buf[r.start:]))
	}
	for {
		ended, problem := r.scan()
		switch {
		case problem != "":
			return nil, r.fail(problem)
		case ended && r.seen > r.max: // read under a higher limit
			return nil, r.fail(fmt.Sprintf("the message is too long: %d bytes, the limit is %d bytes", r.seen, r.max))
		case ended:
			return r.cut(), nil
		case r.seen >= r.max:
			return nil, r.fail(fmt.Sprintf(
				"the message is too long: %d bytes came and its end did not, the limit is %d bytes", r.seen, r.max))
		}
		switch err := r.fill(); {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

// Buffered reports whether something other than white space has been read and not yet returned: a
// further message, or part of one. It does not read, and the last message stays valid.
func (r *Reader) Buffered() bool {
	r.skipSpace()
	return r.start < len(r.buf)
}

func (r *Reader) fail(detail string) *Error {
	r.failed = &Error{Reason: BadMessage, Detail: detail}
	return r.failed
}

func (r *Reader) skipSpace() {
	for r.start < len(r.buf) && isSpace(r.buf[r.start]) {
		r.start++
	}
}

// space is the white space of JSON, RFC 8259, section 2.
const space = " \n\r\t"

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// scan examines the bytes read since the last scan, up to the end of the message.
func (r *Reader) scan() (ended bool, problem string) {
	message := r.buf[r.start:]
	for r.seen < len(message) {
		c := message[r.seen]
		r.seen++
		switch {
		case r.inString && c < 0x20:
			// Invalid in any case. So a missing quote is reported at the end of its line.
			return false, fmt.Sprintf("control character 0x%02x in a string at byte %d, write it as an escape", c, r.seen-1)
		case r.escaped:
			r.escaped = false
		case r.inString:
			r.escaped = c == '\\'
			r.inString = c != '"'
		case c == '"':
			r.inString = true
		case c == '{':
			r.depth++
		case c == '}':
			r.depth--
			if r.depth == 0 {
				return true, ""
			}
		}
	}
	return false, ""
}

// cut returns the message that scan has found and advances past it.
func (r *Reader) cut() []byte {
	end := r.start + r.seen
	message := r.buf[r.start:end:end]
	r.start, r.seen = end, 0
	return message
}

// fill reads at least one byte, or returns an error.
func (r *Reader) fill() error {
	if err := r.sourceErr; err != nil {
		r.sourceErr = nil
		return err
	}
	r.makeRoom()
	for range maxEmptyReads {
		n, err := r.source.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			r.sourceErr = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom makes room for at least one byte. The buffer holds less than max bytes.
func (r *Reader) makeRoom() {
	unread := r.buf[r.start:]
	switch full := len(r.buf) == cap(r.buf); {
	case len(unread) == 0 && cap(r.buf) > keptBufferBytes:
		r.shrink()
	case full && cap(r.buf) < r.max && len(unread) > 0:
		// The message is long, or many came at once: read more at a time.
		larger := min(max(firstBufferBytes, 2*cap(r.buf)), r.max)
		r.buf = append(make([]byte, 0, larger), unread...)
	case full || len(unread) == 0:
		r.buf = r.buf[:copy(r.buf, unread)]
	default:
		return
	}
	r.start = 0
}

// shrink replaces an empty buffer by the inner one.
func (r *Reader) shrink() {
	r.buf = r.inner[:0:min(innerBufferBytes, r.max)]
}
