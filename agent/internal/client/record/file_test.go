package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// writes collects what comes in each write.
type writes struct {
	pieces []string
	fail   error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.fail != nil {
		return len(p) / 2, w.fail
	}
	w.pieces = append(w.pieces, string(p))
	return len(p), nil
}

func TestEachEventIsOneWrite(t *testing.T) {
	to := &writes{}
	w := NewWriter(to)
	for _, e := range soundRun() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if len(to.pieces) != len(soundRun()) {
		t.Fatalf("%d writes for %d events", len(to.pieces), len(soundRun()))
	}
	for _, piece := range to.pieces {
		if strings.Index(piece, "\n") != len(piece)-1 {
			t.Errorf("%q is not one line", piece)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// After an error a line may be cut in the middle, and nothing may follow it.
func TestNothingIsWrittenAfterAnError(t *testing.T) {
	full := errors.New("no space left on device")
	to := &writes{fail: full}
	w := NewWriter(to)
	first := w.Write(soundRun()[0])
	to.fail = nil
	second := w.Write(soundRun()[1])
	closing := w.Close()
	if !errors.Is(first, full) || !errors.Is(second, first) || !errors.Is(closing, first) || len(to.pieces) != 0 {
		t.Errorf("errors %v, %v, %v; written %q", first, second, closing, to.pieces)
	}
	w = NewWriter(to)
	if w.Write(Event{}) == nil || w.Close() == nil {
		t.Error("an event that cannot be written is no error")
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.jsonl")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path) // an empty file is taken
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range soundRun() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
		// Each line is there when Write returns.
		log, err := ReadFile(path)
		if err != nil || len(log.Events) != i+1 || log.Cut {
			t.Fatalf("after %d events: %d, cut %t, error %v", i+1, len(log.Events), log.Cut, err)
		}
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	log, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(soundRun(), log.Events, exactly); diff != "" {
		t.Error(diff)
	}
	if run, err := log.Fold(); err != nil || run.Verdict != Pass {
		t.Errorf("verdict %v, error %v", run.Verdict, err)
	}

	before, _ := os.ReadFile(path)
	if _, err := Create(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a record may be overwritten: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the record was changed")
	}
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "run.jsonl")
	if _, err := Create(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := ReadFile(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	w, err := Create(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(soundRun()[0]), w.Close()); err != nil {
		t.Errorf("a device is refused: %v", err)
	}
}

func written(t *testing.T, events []Event) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, e := range events {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// A client that is killed leaves a record that ends anywhere. The rest is
// read, and is no pass.
func TestRecordCutAtEachByte(t *testing.T) {
	whole := written(t, soundRun())
	for n := range len(whole) {
		log, err := Read(strings.NewReader(whole[:n]), "run.jsonl")
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		atLine := n == 0 || whole[n-1] == '\n'
		if log.Cut == atLine || len(log.Events) != strings.Count(whole[:n], "\n") {
			t.Fatalf("cut after %d bytes: cut %t, %d events", n, log.Cut, len(log.Events))
		}
		run, err := log.Fold()
		if (err != nil) != (len(log.Events) == 0) || !run.Cut() || run.Verdict == Pass {
			t.Fatalf("cut after %d bytes: %v, verdict %v", n, err, run.Verdict)
		}
	}
}

// What is damaged is told from what is cut, and where.
func TestDamagedRecords(t *testing.T) {
	whole := written(t, soundRun())
	lines := strings.SplitAfter(whole, "\n")
	tests := []struct{ name, record, want string }{
		{"a line cut in the middle", lines[0] + lines[1][:20] + lines[2], "run.jsonl:2: not a JSON object"},
		{"an empty line", lines[0] + "\n" + lines[1], "run.jsonl:2: not a JSON object"},
		{"no record", "hello\n", "run.jsonl:1: not a JSON object"},
		{"not an event", strings.Replace(whole, `"took":0.5`, `"took":"0.5"`, 1), "run.jsonl:3: took: "},
		{"a line gone", strings.Replace(whole, lines[2], "", 1), "run.jsonl:3: an interval after step 1"},
		{"nothing", "", "run.jsonl:1: there is no event"},
		{"a line that never began", strings.TrimSuffix(lines[0], "\n"), "run.jsonl:1: there is no event"},
		{"of the future", strings.Replace(whole, `"format":1`, `"format":2`, 1), "run.jsonl:1: format 2 is not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, err := Read(strings.NewReader(tt.record), "run.jsonl")
			if err == nil {
				_, err = log.Fold()
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReadTellsErrorsOfTheSource(t *testing.T) {
	broken := errors.New("input/output error")
	line := written(t, soundRun()[:1])
	_, err := Read(iotest.DataErrReader(&thenError{strings.NewReader(line), broken}), "run.jsonl")
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "run.jsonl:2: ") {
		t.Errorf("error %v", err)
	}
}

type thenError struct {
	*strings.Reader
	err error
}

func (r *thenError) Read(p []byte) (int, error) {
	if r.Len() == 0 {
		return 0, r.err
	}
	return r.Reader.Read(p)
}

func TestLimits(t *testing.T) {
	whole := written(t, soundRun())
	longest := 0
	for line := range strings.Lines(whole) {
		longest = max(longest, len(line))
	}
	for _, tt := range []struct {
		most limits
		want string
	}{
		{limits{lineBytes: longest, events: len(soundRun())}, ""},
		{limits{lineBytes: longest - 1, events: len(soundRun())}, "run.jsonl:1: the line is longer than"},
		{limits{lineBytes: longest, events: len(soundRun()) - 1}, "run.jsonl:7: a record has at most 6 events"},
	} {
		_, err := read(strings.NewReader(whole), "run.jsonl", tt.most)
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.most, err, tt.want)
		}
	}
	// A line without an end is given up at the limit, too.
	if _, err := read(strings.NewReader(strings.Repeat("x", 5000)), "run.jsonl", limits{4999, 1}); err == nil {
		t.Error("a line of any length is read")
	}
	to := &writes{}
	w := NewWriter(to)
	w.max = longest - 1
	if err := w.Write(soundRun()[0]); err == nil || len(to.pieces) > 0 {
		t.Errorf("a line is written that cannot be read: %v", err)
	}
}

// For all bytes: Read does not panic, what it accepts is written back as the same
// events, and Fold never passes what the plain check does not.
func FuzzRead(f *testing.F) {
	w := &writes{}
	for _, e := range append(append(soundRun(), everyKind()...), secured("1.3", "CN=a", "k")) {
		if err := NewWriter(w).Write(e); err != nil {
			f.Fatal(err)
		}
	}
	f.Add([]byte(strings.Join(w.pieces, "")))
	for _, piece := range w.pieces {
		f.Add([]byte(piece))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := Read(bytes.NewReader(data), "fuzz")
		if err != nil {
			return
		}
		var out bytes.Buffer
		again := NewWriter(&out)
		for _, e := range log.Events {
			if err := again.Write(e); err != nil {
				t.Fatalf("%+v was read and cannot be written: %v", e, err)
			}
		}
		back, err := Read(&out, "again")
		if err != nil || back.Cut {
			t.Fatal(err)
		}
		if diff := cmp.Diff(log.Events, back.Events, exactly); diff != "" {
			t.Fatal(diff)
		}
		if run, err := log.Fold(); err == nil && run.Verdict == Pass && !plainlyPassed(log.Events) {
			t.Fatalf("a pass out of %s", data)
		}
	})
}
