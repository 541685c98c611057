package protocol

import (
	"errors"
	"fmt"
	"io"
)

// A Reader cuts a stream of bytes into messages.
//
// A message is one JSON object. It ends with the brace that closes it: nothing need follow,
// and white space around it is skipped. The Reader looks at braces and strings only, so what
// it returns may still be no JSON; DecodeRequest and DecodeReply tell.
//
// A Reader is for one goroutine at a time. It must not be copied.
type Reader struct {
	source io.Reader
	max    int

	// buf[start:] is what was read and not yet returned; cap(buf) is never above max, or what
	// max was when the buffer was taken.
	buf   []byte
	start int
	inner [innerBufferBytes]byte

	// What is known of the message at start: seen bytes of it were looked at.
	seen     int
	depth    int
	inString bool
	escaped  bool

	// failed stays once it is set.
	failed *Error
	// sourceErr came together with bytes and is reported when they are used up.
	sourceErr error
}

// NewReader returns a Reader of messages of at most maxBytes bytes each; 0 or less means
// DefaultMaxMessageBytes. White space between messages does not count.
func NewReader(r io.Reader, maxBytes int) *Reader {
	reader := &Reader{source: r}
	reader.SetMax(maxBytes)
	reader.shrink()
	return reader
}

// SetMax puts another limit in force, for the message that Next returns next; 0 or less means
// DefaultMaxMessageBytes.
func (r *Reader) SetMax(maxBytes int) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxMessageBytes
	}
	r.max = maxBytes
}

// Wait blocks until the first byte of the next message has been read. It returns io.EOF when
// the stream ends before that, and any other error of the source as it is. After a
// deadline has passed, Wait may be called again.
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

// Next returns the next message, waiting for it as Wait does. The bytes are valid until the
// next call of Wait or Next.
//
// The error is io.EOF when the stream ends between messages and io.ErrUnexpectedEOF when it
// ends within one. An *Error with reason BadMessage means that the stream holds something
// that is no message, or one that is too long; every later call returns it again. Other
// errors are those of the source, and what was read of the message is kept.
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
		case ended && r.seen > r.max: // which was higher when it came
			return nil, r.fail(fmt.Sprintf("the message is too long: %d bytes, the limit is %d bytes", r.seen, r.max))
		case ended:
			return r.take(), nil
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

// Buffered reports whether something other than white space has been read and not yet been
// returned: a further message, or a part of one. It reads nothing, and the bytes that Next
// returned last stay valid.
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

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// scan looks at the bytes that have come since the last scan, up to the end of the message.
func (r *Reader) scan() (ended bool, problem string) {
	message := r.buf[r.start:]
	for r.seen < len(message) {
		c := message[r.seen]
		r.seen++
		switch {
		case r.inString && c < 0x20:
			// No later byte can mend it. A forgotten quote is found at the end of its line.
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

// take returns the message that scan has found and goes past it.
func (r *Reader) take() []byte {
	end := r.start + r.seen
	message := r.buf[r.start:end:end]
	r.start, r.seen = end, 0
	return message
}
