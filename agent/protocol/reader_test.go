package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A script is a source that does one thing at each read: it returns bytes, an error or both.
type script []scripted

type scripted struct {
	bytes string
	err   error
}

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	next := &(*s)[0]
	n := copy(p, next.bytes)
	if next.bytes = next.bytes[n:]; next.bytes != "" {
		return n, nil
	}
	err := next.err
	*s = (*s)[1:]
	return n, err
}

func TestReaderManyMessagesInOneRead(t *testing.T) {
	var stream []byte
	var want []string
	for i := range 1000 {
		message := `{"step_id":` + strconv.Itoa(i) + `}`
		want = append(want, message)
		stream = append(stream, message+strings.Repeat("\n", i%2)...)
	}
	for _, maxBytes := range []int{16, 4096, len(stream)} {
		got := readAll(protocol.NewReader(bytes.NewReader(stream), maxBytes))
		got.check(t, "limit "+strconv.Itoa(maxBytes), reading{messages: want, end: io.EOF})
	}
}

// TestReaderEndAtEveryByte ends the stream at each place of a message of 30 bytes: only
// before and after it is the end a clean one, and only after it is there a message.
func TestReaderEndAtEveryByte(t *testing.T) {
	message := `{"step_id":10,"interval":1.25}`
	if len(message) != 30 {
		t.Fatalf("the message has %d bytes", len(message))
	}
	for at := 0; at <= len(message); at++ {
		want := reading{end: io.ErrUnexpectedEOF}
		switch at {
		case 0:
			want = reading{end: io.EOF}
		case len(message):
			want = reading{messages: []string{message}, end: io.EOF}
		}
		got := readAll(protocol.NewReader(strings.NewReader(message[:at]), 0))
		got.check(t, "cut at "+strconv.Itoa(at), want)
	}
}

func TestReaderLimit(t *testing.T) {
	message := `{"x":"` + strings.Repeat("x", 992) + `"}`
	got := readAll(protocol.NewReader(strings.NewReader(message+message), len(message)))
	got.check(t, "at the limit", reading{messages: []string{message, message}, end: io.EOF})

	_, err := protocol.NewReader(strings.NewReader(message), len(message)-1).Next()
	bad, ok := errors.AsType[*protocol.Error](err)
	if !ok || bad.Reason != protocol.BadMessage {
		t.Fatalf("above the limit: %v", err)
	}
	want := "the message is too long: 999 bytes came and its end did not, the limit is 999 bytes"
	if bad.Detail != want {
		t.Errorf("detail %q, want %q", bad.Detail, want)
	}
}

// TestReaderOtherLimit: it counts for what has been read already, and for what comes.
func TestReaderOtherLimit(t *testing.T) {
	of := func(n int) string { return `{"x":"` + strings.Repeat("x", n-8) + `"}` }
	first := of(700) // for which the reader takes a buffer of 1000 bytes
	for _, test := range []struct {
		name, sent string
		max        int
		want       string // of the error; empty for none
	}{
		{"higher", of(2000) + of(2000), 2000, ""},
		{"lower, and what comes keeps it", of(200) + of(200), 200, ""},
		{"lower than what is there", of(201), 200, "too long: 201 bytes, the limit is 200 bytes"},
		{"lower than the beginning that is there", of(700), 200, "300 bytes came and its end did not, the limit is 200 bytes"},
		{"the default", of(4096) + of(4097), 0, "4096 bytes came and its end did not, the limit is 4096 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := protocol.NewReader(strings.NewReader(first+test.sent), 1000)
			if message, err := reader.Next(); string(message) != first || err != nil {
				t.Fatalf("Next: %q, %v", message, err)
			}
			if !reader.Buffered() {
				t.Fatal("nothing has been read ahead")
			}
			reader.SetMax(test.max)
			var err error
			for err == nil {
				_, err = reader.Next()
			}
			if test.want == "" && err != io.EOF || test.want != "" && !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestReaderDefaultLimit(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("{"), &repeater{part: []byte(" ")})
	reader := protocol.NewReader(endless, 0)
	_, err := reader.Next()
	if bad, ok := errors.AsType[*protocol.Error](err); !ok || !strings.Contains(bad.Detail, "limit is 4096 bytes") {
		t.Fatalf("endless message: %v", err)
	}
	if reader.Cap() > protocol.DefaultMaxMessageBytes {
		t.Errorf("the buffer has %d bytes", reader.Cap())
	}
}

// TestReaderStaysFailed checks that nothing is read past bytes that are no message.
func TestReaderStaysFailed(t *testing.T) {
	source := &script{{bytes: "hello"}, {bytes: `{"step_id":1}`}}
	reader := protocol.NewReader(source, 0)
	_, first := reader.Next()
	if _, ok := errors.AsType[*protocol.Error](first); !ok {
		t.Fatalf("Next: %v", first)
	}
	if _, err := reader.Next(); err != first {
		t.Errorf("Next again: %v, want %v", err, first)
	}
	if err := reader.Wait(); err != first {
		t.Errorf("Wait: %v, want %v", err, first)
	}
	if len(*source) != 1 {
		t.Errorf("%d reads are left, want 1", len(*source))
	}
}

func TestReaderGoesOnAfterDeadline(t *testing.T) {
	expired := &os.PathError{Op: "read", Path: "conn", Err: os.ErrDeadlineExceeded}
	reader := protocol.NewReader(&script{
		{err: expired}, {bytes: " \n", err: expired}, {bytes: `{"step_id":1}{"st`, err: expired}, {bytes: `ep_id":2}`},
	}, 0)
	for range 2 {
		if err := reader.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Wait before a message: %v", err)
		}
	}
	if err := reader.Wait(); err != nil {
		t.Fatalf("Wait with a message there: %v", err)
	}
	if message, err := reader.Next(); string(message) != `{"step_id":1}` || err != nil {
		t.Fatalf("Next: %q, %v", message, err)
	}
	if _, err := reader.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Next within a message: %v", err)
	}
	if message, err := reader.Next(); string(message) != `{"step_id":2}` || err != nil {
		t.Fatalf("Next after the deadline: %q, %v", message, err)
	}
	if err := reader.Wait(); err != io.EOF {
		t.Errorf("Wait at the end: %v", err)
	}
}

func TestReaderSourceThatReturnsNothing(t *testing.T) {
	source := make(script, 1000)
	if err := protocol.NewReader(&source, 0).Wait(); err != io.ErrNoProgress {
		t.Errorf("Wait: %v, want %v", err, io.ErrNoProgress)
	}
}

func TestReaderBuffered(t *testing.T) {
	reader := protocol.NewReader(&script{{bytes: `{"step_id":1} {"step_id":2}` + "\n \r\n"}, {bytes: `{`}}, 0)
	if reader.Buffered() {
		t.Error("buffered before anything was read")
	}
	first, err := reader.Next()
	if err != nil {
		t.Fatal(err)
	}
	if !reader.Buffered() || string(first) != `{"step_id":1}` {
		t.Errorf("not buffered with a second message there, or the first one, %q, is gone", first)
	}
	if _, err := reader.Next(); err != nil {
		t.Fatal(err)
	}
	if reader.Buffered() {
		t.Error("buffered with white space alone")
	}
	if err := reader.Wait(); err != nil || !reader.Buffered() {
		t.Errorf("not buffered with a part of a message there, %v", err)
	}
}

// TestReaderMemory checks what an idle connection costs, before and after a long message.
func TestReaderMemory(t *testing.T) {
	if size := unsafe.Sizeof(protocol.Reader{}); size > 256 {
		t.Errorf("a Reader has %d bytes", size)
	}
	pieces := []string{`{"x":"` + strings.Repeat("x", 3000) + `"}`, "\n", ""}
	source := strings.NewReader("")
	var room int // of the last read
	reader := protocol.NewReader(readFunc(func(p []byte) (int, error) {
		room = len(p)
		if source.Len() == 0 && len(pieces) > 0 {
			source.Reset(pieces[0])
			pieces = pieces[1:]
		}
		return source.Read(p)
	}), 0)
	if message, err := reader.Next(); len(message) < 3000 || err != nil {
		t.Fatalf("Next: %q, %v", message, err)
	}
	if reader.Cap() < 3000 || reader.Cap() > protocol.DefaultMaxMessageBytes {
		t.Errorf("with the message there, the buffer has %d bytes", reader.Cap())
	}
	if err := reader.Wait(); err != io.EOF {
		t.Fatalf("Wait: %v", err)
	}
	if reader.Cap() > 512 || room > 512 {
		t.Errorf("while it waits, the buffer has %d bytes, %d for the read", reader.Cap(), room)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestForeignBytesInWords(t *testing.T) {
	const must = `a message must be a JSON object, which begins with "{"; `
	for stream, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":          "this looks like HTTP",
		"OPTIONS * HTTP/1.1\r\n\r\n":      "this looks like HTTP",
		"GETTER":                          "got GETTER",
		"\x16\x03\x01\x02\x00":            "this looks like a TLS ClientHello, but the port speaks plain TCP",
		"\x16":                            "this looks like a TLS ClientHello, but the port speaks plain TCP",
		"\x16\x16":                        `got \x16\x16`,
		"SSH-2.0-OpenSSH_9.7\r\n":         "this looks like the banner of an SSH client",
		"\xef\xbb\xbf{}":                  "this looks like a byte order mark, send UTF-8 without one",
		"\xff\xfe{\x00":                   "this looks like a byte order mark, send UTF-8 without one",
		"\xfe\xff\x00{":                   "this looks like a byte order mark, send UTF-8 without one",
		"null\r\nnull":                    "got null",
		`"step"`:                          `got "step"`,
		"\x1b[31mred\x00\x7f\u202e\xff":   `got \x1b[31mred\x00\x7f\u202e\xff`,
		"a line that is longer than most": "got a line that is longer than most",
		strings.Repeat("a", 100):          "got " + strings.Repeat("a", 32),
		strings.Repeat("\x01", 100):       `got \x01\x01\x01\x01\x01\x01\x01...`,
	} {
		_, err := protocol.NewReader(strings.NewReader(stream), 0).Next()
		bad, ok := errors.AsType[*protocol.Error](err)
		if !ok || bad.Reason != protocol.BadMessage || bad.Detail != must+want {
			t.Errorf("%q: %v, want %s", stream, err, want)
		}
	}
}
