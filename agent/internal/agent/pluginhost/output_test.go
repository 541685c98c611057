package pluginhost

import (
	"bytes"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

// linesOf returns a log of lines without a limit, and what is in it.
func linesOf(limit *rate.Limiter) (*lineLog, func() []string) {
	var buf bytes.Buffer
	handler := slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case "line", "lines":
			return a
		}
		return slog.Attr{}
	}})
	return newLineLog(slog.New(handler), "stderr", limit), func() []string {
		return strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
	}
}

func TestLineLog(t *testing.T) {
	long := strings.Repeat("y", maxLineBytes)
	for name, test := range map[string]struct {
		printed string
		want    []string
	}{
		"lines":          {"one\ntwo\r\n", []string{"line=one", "line=two"}},
		"no newline":     {"one", []string{"line=one"}},
		"empty lines":    {"\n\n \r\none\n\n", []string{"line=one"}},
		"nothing":        {"", []string{""}},
		"control":        {"a\x1b[31mb\x00\n", []string{`line=a\x1b[31mb\x00`}},
		"go-plugin json": {`{"@message":1}` + "\n", []string{`line="{\"@message\":1}"`}},
		"as long as may": {long + "\n", []string{"line=" + long}},
		"too long":       {long + "z\nnext\n", []string{"line=" + long + "...", "line=next"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, lines := linesOf(rate.NewLimiter(rate.Inf, 0))
			if l.take([]byte(test.printed)) {
				t.Error("flooded without a limit")
			}
			l.end()
			if diff := cmp.Diff(test.want, lines()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLineLogLeavesOutWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := linesOf(rate.NewLimiter(1, 2))
		if l.take([]byte("1\n2\n")) {
			t.Error("two lines are allowed")
		}
		if !l.take([]byte("3\n4\n")) {
			t.Error("the third is not")
		}
		time.Sleep(quietTime - 1)
		if !l.take([]byte("5\n")) {
			t.Error("it is not quiet any more")
		}
		time.Sleep(time.Nanosecond)
		if l.take([]byte("6\n")) || !l.take([]byte("7\n8\n")) {
			t.Error("two lines are allowed again")
		}
		l.end()
		want := []string{"line=1", "line=2", "lines=3", "line=6", "line=7", "lines=1"}
		if diff := cmp.Diff(want, lines()); diff != "" {
			t.Error(diff)
		}
	})
}

// However the bytes come in, the lines are the same.
func TestLinesDoNotDependOnReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		printed := []byte(rapid.StringOf(rapid.SampledFrom([]rune("ab\n\r \x07é"))).Draw(t, "printed"))
		whole, want := linesOf(rate.NewLimiter(rate.Inf, 0))
		whole.take(printed)
		whole.end()
		parts, got := linesOf(rate.NewLimiter(rate.Inf, 0))
		for len(printed) > 0 {
			n := rapid.IntRange(1, len(printed)).Draw(t, "n")
			parts.take(printed[:n])
			printed = printed[n:]
		}
		parts.end()
		if diff := cmp.Diff(want(), got()); diff != "" {
			t.Error(diff)
		}
	})
}

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
			h.take(printed[:n])
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
		h.take(bytes.Repeat([]byte("x"), 1000))
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
		got := printable(b)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not valid UTF-8", got)
		}
		if strings.ContainsAny(got, "\x00\x07\x08\n\r\x1b\u202e\u2028\u0085") {
			t.Errorf("%q moves a cursor", got)
		}
	})
}

func TestP13GarbageOnStdout(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "print", Settings: []byte(`{"step":3}`)})
	passes(t, set.Groups()[0], 3)
	eventually(t, "all four lines are logged", func() bool {
		s := log.String()
		return strings.Contains(s, `stream=stderr line="to stdout"`) &&
			strings.Contains(s, `stream=stderr line="to stderr \\x1b[31mred"`) &&
			strings.Contains(s, `line="{\"@message\":1}"`) &&
			strings.Contains(s, `stream=stdout line=xxx`)
	})
	passes(t, set.Groups()[0], 3) // and stdout is still read
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}

func TestP12StderrFlood(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "flood", Settings: []byte(`{"step":3}`)})
	passes(t, set.Groups()[0], 3)
	began := time.Now()
	eventually(t, "the burst is used up", func() bool { return strings.Count(log.String(), "line=flood") >= lineBurst })
	passes(t, set.Groups()[0], 1)
	set.Close(t.Context())
	if !strings.Contains(log.String(), "lines were left out") {
		t.Error("nothing is said of the lines that were left out")
	}
	most := lineBurst + int(linesPerSecond*(time.Since(began).Seconds()+1))
	if n := strings.Count(log.String(), "line=flood"); n > most {
		t.Errorf("%d lines of the flood are logged, want %d at most", n, most)
	}
}

// A plugin that crashes again and again has no more lines than another.
func TestP12LoudCrashes(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash-loudly", Settings: []byte(`{"step":3}`)})
	began := time.Now()
	for range 4 { // two processes each
		within(t, patience, set.Groups()[0], 3)
	}
	passes(t, set.Groups()[0], 1)
	set.Close(t.Context())
	most := lineBurst + int(linesPerSecond*(time.Since(began).Seconds()+1))
	if n := strings.Count(log.String(), "line=loud"); n < lineBurst || n > most {
		t.Errorf("%d lines are logged, want %d to %d", n, lineBurst, most)
	}
}

// A flood that has no lines, or only empty ones, is read no faster than another. How fast the
// plugin gets rid of it says so: pauses last as long as they are to, however slow the machine.
func TestP12FloodWithoutLines(t *testing.T) {
	besideOthers(t)
	for name, step := range map[string]int64{"stderr": 3, "empty lines": 4, "stdout": 5} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, nil)
			set := startSet(t, h, Spec{Name: "a", Validator: "gush"})
			began := time.Now()
			passes(t, set.Groups()[0], step)
			const much = 2 << 20
			eventually(t, "much is printed", func() bool {
				printed, err := strconv.Atoi(string(within(t, patience, set.Groups()[0], 1)[0].Verdict.State))
				if err != nil {
					t.Fatal(err)
				}
				most := outputBurst + pipeBytes*(3+int(time.Since(began)/floodPause)) // one read, one in the pipe
				if printed > most {
					t.Fatalf("%d bytes were read in %v, want %d at most", printed, time.Since(began), most)
				}
				return printed > much
			})
		})
	}
}

func TestDiscardedMessagesAreReadAtAPace(t *testing.T) {
	for size, want := range map[int]time.Duration{0: 1000 * floodPause * messageCost / pipeBytes, 1 << 20: 1000 * 16 * floodPause} {
		synctest.Test(t, func(t *testing.T) {
			began, left := time.Now(), 1000
			discard(t.Context(), func() (int, error) {
				if left--; left < 0 {
					return 0, io.EOF
				}
				return size, nil
			})
			if took := time.Since(began); took < want*9/10 || took > want*11/10 {
				t.Errorf("1000 messages of %d bytes took %v, want about %v", size, took, want)
			}
		})
	}
}
