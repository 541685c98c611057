package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"unicode"
	"unicode/utf8"

	"github.com/lmittmann/tint"
	"pgregory.net/rapid"
)

// hostile has what must never reach a log as it is.
func hostile() []string {
	return []string{
		"\x1b[31mred\x1b[K", "\x1b]0;title\x07", "line\nlevel=ERROR msg=forged", "over\rwritten", "nul\x00",
		"back\x08space", "\x7f", "\u009b31m", "\u0085", "\u202etxt.exe", "\u2028", "\u200f", "\ufeff", "\U000e0041",
		"\xff\xfe", "cut\xc3", "\ufffd after", `typed \x1b[31m by hand`, `\u001b[31m`, `"quoted"`, "a=b c", `back\slash`, "",
	}
}

type stringer struct{ s string }

func (s stringer) String() string { return s.s }

type valuer struct{ s string }

func (v valuer) LogValue() slog.Value { return slog.GroupValue(slog.String("in"+v.s, v.s)) }

type panicky struct{ s string }

func (p panicky) Error() string { panic(p.s) }

// pens are the handlers of all formats, tint with colour as on a terminal too.
func pens(w io.Writer) map[string]slog.Handler {
	return map[string]slog.Handler{
		"colour": handler(w, style{format: "tint", level: slog.LevelInfo, colour: true}),
		"tint":   handler(w, style{format: "tint", level: slog.LevelInfo}),
		"text":   handler(w, style{format: "text", level: slog.LevelInfo}),
		"json":   handler(w, style{format: "json", level: slog.LevelInfo}),
	}
}

// ownColour are the sequences that tint writes itself, none of which is in a hostile string.
var ownColour = regexp.MustCompile(`\x1b\[(0|2|22|92)m`)

// checkLine fails unless what was written is one line of printable characters.
func checkLine(t testing.TB, what, line string) {
	t.Helper()
	body, ok := strings.CutSuffix(line, "\n")
	body = ownColour.ReplaceAllString(body, "")
	if !ok || !utf8.ValidString(body) || strings.ContainsFunc(body, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%s: %q", what, line)
	}
}

func TestNothingHostilePasses(t *testing.T) {
	t.Parallel()
	ways := map[string]func(log *slog.Logger, s string){
		"message":  func(log *slog.Logger, s string) { log.Info(s) },
		"string":   func(log *slog.Logger, s string) { log.Info("m", "key", s) },
		"spaced":   func(log *slog.Logger, s string) { log.Info("m", "key", s+" "+s) },
		"error":    func(log *slog.Logger, s string) { log.Info("m", "key", errors.New(s)) },
		"panic":    func(log *slog.Logger, s string) { log.Info("m", "key", panicky{s}) },
		"stringer": func(log *slog.Logger, s string) { log.Info("m", "key", stringer{s}) },
		"bytes":    func(log *slog.Logger, s string) { log.Info("m", "key", []byte(s)) },
		"struct":   func(log *slog.Logger, s string) { log.Info("m", "key", struct{ S string }{s}) },
		"map":      func(log *slog.Logger, s string) { log.Info("m", "key", map[string][]string{s: {s}}) },
		"raw":      func(log *slog.Logger, s string) { log.Info("m", "key", json.RawMessage(`{"a":"`+s+`"}`)) },
		"key":      func(log *slog.Logger, s string) { log.Info("m", s, 1) },
		"group":    func(log *slog.Logger, s string) { log.Info("m", slog.Group("g"+s, s, s)) },
		"valuer":   func(log *slog.Logger, s string) { log.Info("m", "key", valuer{s}) },
		"with":     func(log *slog.Logger, s string) { log.With(s, s).Info("m", "key", s) },
		"in group": func(log *slog.Logger, s string) { log.WithGroup("g"+s).With(s, s).Info("m", s, s) },
	}
	for way, write := range ways {
		for _, s := range hostile() {
			var out bytes.Buffer
			for format, pen := range pens(&out) {
				out.Reset()
				write(slog.New(pen), s)
				checkLine(t, fmt.Sprintf("%s, %q as %s", format, s, way), out.String())
			}
		}
	}
}

// TestNothingIsLost: what is escaped can be read back.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, s := range hostile() {
		var out bytes.Buffer
		for format, pen := range pens(&out) {
			out.Reset()
			slog.New(pen).Info("m", "key", s+" ")
			line := ownColour.ReplaceAllString(strings.TrimSuffix(out.String(), "\n"), "")
			want := s + " "
			var got string
			if format == "json" {
				var record struct{ Key string }
				if err := json.Unmarshal([]byte(line), &record); err != nil {
					t.Errorf("%q: %v", line, err)
				}
				got, want = record.Key, strings.ToValidUTF8(want, "\ufffd")
				if !utf8.ValidString(s) {
					want = string([]rune(s + " ")) // each byte its own U+FFFD
				}
			} else {
				_, quoted, _ := strings.Cut(line, "key=")
				var err error
				if got, err = strconv.Unquote(quoted); err != nil {
					t.Errorf("%s: %q: %v", format, line, err)
				}
			}
			if got != want {
				t.Errorf("%s: %q is read back as %q", format, s, got)
			}
		}
	}
}

// TestPlainIsLeftAlone: harmless text is written as tint and slog write it.
func TestPlainIsLeftAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-zA-Z0-9 가-힣é._:/-]{0,12}`)
		message, key, value := word.Draw(t, "message"), rapid.StringMatching(`[a-z_.]{1,8}`).Draw(t, "key"), word.Draw(t, "value")
		write := func(h slog.Handler) {
			r := slog.Record{Level: slog.LevelWarn, Message: message}
			r.Add(key, value, "n", 1, "err", errors.New(value), slog.Group(key, "list", []string{value}, "nil", nil))
			if err := h.WithGroup(key).WithAttrs([]slog.Attr{slog.String("with", value)}).Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		for _, noColour := range []bool{true, false} {
			var bare, cleaned bytes.Buffer
			write(tint.NewTextHandler(&bare, &tint.Options{NoColor: noColour}))
			write(cleaner{tint.NewTextHandler(&cleaned, &tint.Options{NoColor: noColour})})
			if bare.String() != cleaned.String() {
				t.Fatalf("tint writes %q, cleaned it is %q", bare.String(), cleaned.String())
			}
		}
		var bare, escaped bytes.Buffer
		write(slog.NewTextHandler(&bare, nil))
		write(slog.NewTextHandler(escaper{&escaped}, nil))
		if bare.String() != escaped.String() {
			t.Fatalf("slog writes %q, escaped it is %q", bare.String(), escaped.String())
		}
	})
}

// TestHandlerLaws runs the kit for handlers against JSON, which can be read back.
func TestHandlerLaws(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return cleaner{slog.NewJSONHandler(escaper{&out}, nil)}
	}, func(t *testing.T) map[string]any {
		var record map[string]any
		if err := json.Unmarshal(out.Bytes(), &record); err != nil {
			t.Fatal(err)
		}
		return record
	})
}

// FuzzEscape: a line that is JSON stays JSON of the same meaning, any line becomes printable.
func FuzzEscape(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(escape(line), &got); err != nil || got != want {
			t.Errorf("%q becomes %q: %v", want, got, err)
		}
		checkLine(t, "escaped", string(escape([]byte(s+"\n"))))
		var out bytes.Buffer
		for format, pen := range pens(&out) {
			out.Reset()
			slog.New(pen).With(s, s).Info(s, "key", s)
			checkLine(t, format, out.String())
		}
	})
}
