package outbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
)

// A line of each kind, as the writer has it.
var sampleLines = []struct {
	line  string
	kind  fleet.Kind
	event bool
}{
	{`{"event":"open","time":"2026-11-30T10:00:00Z","open":{"format":1,"agent":"1","host":"a","address":"b","started":"2026-11-30T10:00:00.5Z"}}`, fleet.Statuses, false},
	{`{"event":"step","time":"2026-11-30T10:00:01Z","step":{"session":"s","client":"c","step_id":1}}`, fleet.Steps, true},
	{`{"event":"session","time":"2026-11-30T10:00:02Z","session":{"session":"s"}}`, fleet.Sessions, true},
	{`{"event":"suspended","time":"2026-11-30T10:00:03Z"}`, fleet.Sessions, true},
	{`{"event":"resumed","time":"2026-11-30T10:00:04Z"}`, fleet.Sessions, true},
	{`{"event":"dropped","time":"2026-11-30T10:00:05Z","dropped":{"count":2}}`, fleet.Statuses, true},
	{`{"time":"2026-11-30T10:00:06Z","event":"step"}`, fleet.Steps, true},
	{`{"event":"of a later version"}`, fleet.Statuses, true},
	{`{"event`, fleet.Statuses, true},
	{``, fleet.Statuses, true},
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for _, s := range sampleLines {
		if kind, event := kindOf([]byte(s.line + "\n")); kind != s.kind || event != s.event {
			t.Errorf("%s: %s, %t", s.line, kind, event)
		}
	}
}

// checkRun returns what is wrong with the first run of a text; empty for nothing.
func checkRun(text []byte, limit int) string {
	n, events, kind, whole := run(text, limit)
	lines := bytes.SplitAfter(text[:n], []byte("\n"))
	switch {
	case n == 0 && bytes.IndexByte(text, '\n') >= 0:
		return "there is a line, and the run is empty"
	case n == 0:
		return ""
	case text[n-1] != '\n':
		return "the run ends within a line"
	case n > limit && len(lines) > 2:
		return fmt.Sprintf("%d bytes and %d lines are past the limit", n, len(lines)-1)
	}
	want := uint64(0)
	for _, line := range lines[:len(lines)-1] {
		is, event := kindOf(line)
		if is != kind {
			return fmt.Sprintf("a line of kind %s is in a run of %s", is, kind)
		}
		if event {
			want++
		}
	}
	if events != want {
		return fmt.Sprintf("%d events are counted as %d", want, events)
	}
	next, _, found := bytes.Cut(text[n:], []byte("\n"))
	if is, _ := kindOf(append(next, '\n')); found && (is == kind && n+len(next)+1 <= limit || !whole) {
		return "the run ends too early"
	}
	return ""
}

func FuzzRun(f *testing.F) {
	for _, s := range sampleLines {
		f.Add([]byte(s.line+"\n"+s.line+"\n"+`{"event":"step"}`), 200)
	}
	f.Fuzz(func(t *testing.T, text []byte, limit int) {
		limit = max(1, limit%4096)
		if wrong := checkRun(text, limit); wrong != "" {
			t.Errorf("limit %d: %s", limit, wrong)
		}
	})
}

// A message that is too large is divided until each part is one line, and the parts are the whole.
func TestDivide(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var lines []byte
		n := 1 + random.IntN(40)
		for range n {
			lines = append(lines, bytes.Repeat([]byte("x"), random.IntN(50))...)
			lines = append(lines, '\n')
		}
		_, events, kind, _ := run(lines, len(lines))
		parts, whole := []*message{{file: head{"steps-0000000007.20261130T100000Z.jsonl", "5"}, offset: 100, lines: lines, events: events, kind: kind}}, []*message{}
		for len(parts) > 0 {
			first := parts[0]
			halves := first.divide()
			if halves == nil {
				whole = append(whole, first)
			}
			parts = append(halves, parts[1:]...)
		}
		if len(whole) != n {
			t.Fatalf("%d lines are divided into %d", n, len(whole))
		}
		at, ids := int64(100), map[string]bool{}
		for _, m := range whole {
			if m.offset != at || m.events != 1 || bytes.Count(m.lines, []byte("\n")) != 1 || !bytes.Equal(m.lines, lines[at-100:m.end().Offset-100]) {
				t.Fatalf("a part at %d has %d events: %q", m.offset, m.events, m.lines)
			}
			at = m.end().Offset
			ids[m.id("b")] = true
		}
		if len(ids) != n || at != 100+int64(len(lines)) || !ids[fmt.Sprintf("b.5.7.100-%d", whole[0].end().Offset)] {
			t.Fatalf("ids %v", ids)
		}
	}
}

// The messages of a record are its lines, in order and once, however it is written meanwhile.
func TestTail(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		r := &recording{t: t, dir: dir, random: random, texts: map[string][]byte{}}
		tail := newTail(dir, position{})
		got := map[string][]byte{}
		read := func() (any bool) {
			limit := 1 + random.IntN(2000)
			m, err := tail.next(limit)
			if err != nil {
				t.Fatal(err)
			}
			if m == nil {
				return false
			}
			if m.offset != int64(len(got[m.file.name])) {
				t.Fatalf("seed %d: a message at %d of %s, want %d", seed, m.offset, m.file.name, len(got[m.file.name]))
			}
			if wrong := checkRun(m.lines, limit); wrong != "" || m.file.life != r.lives[m.file.name] {
				t.Fatalf("seed %d: life %s, want %s; %s", seed, m.file.life, r.lives[m.file.name], wrong)
			}
			got[m.file.name] = append(got[m.file.name], m.lines...)
			return true
		}
		for range 200 {
			r.write()
			if random.IntN(3) == 0 {
				read()
			}
			tail.listed = time.Unix(1, 0) // the test does not wait for listInterval
			if random.IntN(20) == 0 {     // another agent goes on
				at := tail.at
				tail.close()
				tail = newTail(dir, at)
			}
		}
		r.next()
		for read() {
			tail.listed = time.Unix(1, 0)
		}
		tail.close()
		for name, text := range r.texts {
			whole := text[:bytes.LastIndexByte(text, '\n')+1]
			if !bytes.Equal(got[name], whole) {
				t.Errorf("seed %d: of %s, %d bytes of %d were read", seed, name, len(got[name]), len(whole))
			}
		}
	}
}

// A recording writes a record as the writer does: in pieces, with torn lines at the ends of files.
type recording struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	number uint64
	name   string
	texts  map[string][]byte
	lives  map[string]string
	rest   []byte // of a line that is written in part
}

func (r *recording) next() {
	r.number++
	at := time.Unix(1_800_000_000+int64(r.number), int64(r.number)).UTC()
	r.name, r.rest = auditlog.FileName(r.number, at), nil
	if r.lives == nil {
		r.lives = map[string]string{}
	}
	r.lives[r.name] = fmt.Sprint(at.UnixNano())
	line, err := auditlog.AppendLine(nil, auditlog.Event{Kind: auditlog.KindOpen, Time: at, Open: &auditlog.Open{Format: 1, Started: at}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.append(nil)
	r.append(line)
}

func (r *recording) write() {
	if r.name == "" || r.random.IntN(15) == 0 {
		r.next()
	}
	text := r.rest
	for range r.random.IntN(20) {
		text = append(text, sampleLines[1+r.random.IntN(len(sampleLines)-1)].line+"\n"...)
	}
	cut := r.random.IntN(len(text) + 1)
	r.append(text[:cut])
	r.rest = bytes.Clone(text[cut:])
}

func (r *recording) append(text []byte) {
	file, err := os.OpenFile(filepath.Join(r.dir, r.name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.texts[r.name] = append(r.texts[r.name], text...)
}
