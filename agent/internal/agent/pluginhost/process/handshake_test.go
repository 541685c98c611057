package process

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

func TestHandshakeGetsTheFirstLineAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.StringMatching(`[a-z|]{1,20}`).Draw(t, "first")
		printed, ended := []byte(first), rapid.Bool().Draw(t, "ended")
		want := []string{""}
		if ended {
			printed = append(printed, "\nrest\n"...)
			want = []string{"line=rest"}
		}
		log, lines := linesOf(rate.NewLimiter(rate.Inf, 0))
		h := newHandshake(log)
		got := make(chan string)
		go func() {
			b, err := io.ReadAll(h.reader)
			if err != nil {
				b = []byte(err.Error())
			}
			got <- string(b)
		}()
		for len(printed) > 0 {
			n := rapid.IntRange(1, len(printed)).Draw(t, "n")
			h.write(printed[:n])
			printed = printed[n:]
		}
		h.end()
		fields := strings.Split(first, "|")
		known := strings.Join(fields[:min(len(fields), handshakeFields)], "|")
		if line := <-got; line != known+"\n" || h.text() != first {
			t.Errorf("got %q and %q, want %q of %q", line, h.text(), known, first)
		}
		if diff := cmp.Diff(want, lines()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHandshakeIsBounded(t *testing.T) {
	log, _ := linesOf(rate.NewLimiter(rate.Inf, 0))
	h := newHandshake(log)
	got := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, h.reader) // the length tells
		got <- n
	}()
	for range 100 {
		h.write(bytes.Repeat([]byte("x"), 1000))
	}
	h.end()
	if n := <-got; n != maxHandshakeBytes+1 {
		t.Errorf("%d bytes, want %d and a newline", n, maxHandshakeBytes)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "\xff\xfe", "\u202eabc", "é\t", "'\"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := logging.Clean(string(b))
		if !utf8.ValidString(got) {
			t.Errorf("%q is not valid UTF-8", got)
		}
		if strings.ContainsAny(got, "\x00\x07\x08\n\r\x1b\u202e\u2028\u0085") {
			t.Errorf("%q moves a cursor", got)
		}
	})
}

// What a plugin prints as its handshake may be anything.
func FuzzCheckHandshake(f *testing.F) {
	for _, line := range []string{"", "1|1|unix|/s|grpc", "1|1|unix|/s", "|||||", "x|y", "1|2|tcp|a|netrpc|"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		err := checkHandshake("/plugin", logging.Clean(line))
		if err == nil {
			if p := strings.Split(line, "|"); len(p) < 5 || p[1] != "1" || p[2] != "unix" || p[4] != "grpc" {
				t.Errorf("%q passes", line)
			}
		} else if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 1000 {
			t.Errorf("%q gives %q", line, err)
		}
	})
}
