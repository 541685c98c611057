package auditlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// One event of each kind with its line: the format. A line that changes here is a new format.
func TestLines(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 5, time.UTC)
	took := jsonl.Seconds(2500 * time.Microsecond)
	for want, e := range map[string]Event{
		`{"event":"open","time":"2026-11-22T10:00:00.000000005Z","open":{"format":1,"agent":"1.2.0","host":"board-3","address":"[::]:8080","started":"2026-11-22T10:00:00.000000005Z"}}`: {
			Kind: KindOpen, Time: at, Open: &Open{Format: 1, Agent: "1.2.0", Host: "board-3", Address: "[::]:8080", Started: at}},
		`{"event":"step","time":"2026-11-22T10:00:00.000000005Z","step":{"session":"s","client":"192.0.2.7:4711","req":"a-1","step_id":3,"position":3,"error_code":1,"reason":"out_of_order","detail":"why","fault":"late","generation":2,` +
			`"turn":0.000001,"groups":[{"validators":["sequence","min_timeout"],"queue":0.00002,"took":0.0005}],"judged":0.0006,"replied":0.0025}}`: {
			Kind: KindStep, Time: at, Step: &Step{Session: "s", Client: "192.0.2.7:4711", Req: protocol.TextReq("a-1"), StepID: 3, Position: 3,
				ErrorCode: 1, Reason: "out_of_order", Detail: "why", Fault: "late", Generation: 2, Turn: 1000, Judged: 600_000, Replied: &took,
				Groups: []Group{{Validators: []string{"sequence", "min_timeout"}, Queue: 20_000, Took: 500_000}}}},
		`{"event":"step","time":"2026-11-22T10:00:00.000000005Z","step":{"session":"s","client":"c","step_id":-1,"position":0,"error_code":0,"replayed":true,"turn":0,"judged":1}}`: {
			Kind: KindStep, Time: at, Step: &Step{Session: "s", Client: "c", StepID: -1, Replayed: true, Judged: jsonl.Seconds(time.Second)}},
		`{"event":"session","time":"2026-11-22T10:00:00.000000005Z","session":{"session":"s","client":"c","verdict":"incomplete","cause":"the agent stops","steps":2,"of":10,"passed":1,"failed":1,"undecided":0,"duration":1.5}}`: {
			Kind: KindSession, Time: at, Session: &Session{Session: "s", Client: "c", Verdict: "incomplete", Cause: "the agent stops", Steps: 2, Of: 10,
				Passed: 1, Failed: 1, Duration: jsonl.Seconds(1500 * time.Millisecond)}},
		`{"event":"step","time":"2026-11-22T10:00:00.000000005Z","step":{"session":"s·ada","client":"c","identity":"ada","step_id":1,"position":1,"error_code":0,"turn":0,"judged":0}}`: {
			Kind: KindStep, Time: at, Step: &Step{Session: "s·ada", Client: "c", Identity: "ada", StepID: 1, Position: 1}},
		`{"event":"session","time":"2026-11-22T10:00:00.000000005Z","session":{"session":"s·ada","client":"c","identity":"ada","verdict":"pass","steps":1,"of":1,"passed":1,"failed":0,"undecided":0,"duration":0}}`: {
			Kind: KindSession, Time: at, Session: &Session{Session: "s·ada", Client: "c", Identity: "ada", Verdict: "pass", Steps: 1, Of: 1, Passed: 1}},
		`{"event":"suspended","time":"2026-11-22T10:00:00.000000005Z","session":{"session":"s","client":"c","steps":2,"of":10,"passed":1,"failed":1,"undecided":0,"duration":1.5}}`: {
			Kind: KindSuspended, Time: at, Session: &Session{Session: "s", Client: "c", Steps: 2, Of: 10, Passed: 1, Failed: 1, Duration: jsonl.Seconds(1500 * time.Millisecond)}},
		`{"event":"resumed","time":"2026-11-22T10:00:00.000000005Z","session":{"session":"s","client":"c","steps":2,"of":10,"passed":2,"failed":0,"undecided":0,"duration":60}}`: {
			Kind: KindResumed, Time: at, Session: &Session{Session: "s", Client: "c", Steps: 2, Of: 10, Passed: 2, Duration: jsonl.Seconds(time.Minute)}},
		`{"event":"dropped","time":"2026-11-22T10:00:00.000000005Z","dropped":{"count":7,"cause":"no space left on device"}}`: {
			Kind: KindDropped, Time: at, Dropped: &Dropped{Count: 7, Cause: "no space left on device"}},
	} {
		line, err := AppendLine(nil, e)
		if err != nil || string(line) != want+"\n" {
			t.Errorf("got  %swant %s\n(%v)", line, want, err)
		}
		back, err := decode([]byte(want), e.Kind == KindOpen)
		if diff := cmp.Diff(e, back, cmp.AllowUnexported(protocol.ReqID{})); err != nil || diff != "" {
			t.Errorf("read back: %v\n%s", err, diff)
		}
	}
}

const opened = `{"event":"open","time":"2026-11-22T10:00:00Z","open":{"format":1,"agent":"1","host":"h","address":"a","started":"2026-11-22T10:00:00Z"}}` + "\n"

func TestReadSession(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*") // a pattern of other names
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	step := func(session, id string) string {
		return `{"event":"step","time":"2026-11-22T10:00:00Z","step":{"session":"` + session + `","client":"c","step_id":` + id + `,"position":1,"error_code":0,"turn":0,"judged":0}}` + "\n"
	}
	write("1.jsonl", opened+step("s", "1")+step("other", "9")+`{"event":"news","time":"2026-11-22T10:00:00Z","more":[1]}`+"\n"+
		`{"event":"dropped","time":"2026-11-22T10:00:00Z","dropped":{"count":3,"cause":"x"}}`+"\n"+step("s", "2")[:40])
	write("2.jsonl", opened+step("s·ada", "3")+step("s@ada", "4")+step("ss·ada", "5"))
	write("3.jsonl", opened+step("other", "3"))
	write("x.txt", "not ours")
	found, err := ReadSession(dir, "s")
	if err != nil || len(found.Steps) != 2 || found.Steps[1].StepID != 3 || found.Dropped != 3 || len(found.Torn) != 1 || len(found.Opens) != 2 {
		t.Errorf("found %+v, error %v", found, err)
	}
	if one, err := ReadSession(filepath.Join(dir, "2.jsonl"), "s"); err != nil || len(one.Steps) != 1 {
		t.Errorf("found %+v, error %v", one, err)
	}
	mixed := filepath.Join(dir, "mixed")
	if err := os.Mkdir(mixed, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join("mixed", FileName(2, time.Unix(0, 0))), opened+step("s", "3"))
	write(filepath.Join("mixed", FileName(1, time.Now())), opened+step("s", "2"))
	write(filepath.Join("mixed", "steps-20460101T000000.000000000Z.jsonl"), opened+step("s", "1")) // of an earlier version
	for i, step := range must(ReadSession(mixed, "s")).Steps {
		if step.StepID != int64(i+1) {
			t.Errorf("step %d is in place %d", step.StepID, i+1)
		}
	}
	for want, path := range map[string]string{
		"no such file": filepath.Join(dir, "none"), "holds no file that ends with .jsonl": t.TempDir(),
		"x.txt:1: no event of an agent's record": filepath.Join(dir, "x.txt"),
	} {
		if path == filepath.Join(dir, "x.txt") {
			write("x.txt", "not ours\n")
		}
		if _, err := ReadSession(path, "s"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
}

// TestAbsences: an agent that stopped says since when it was away; one that was killed was last there at
// the step before.
func TestAbsences(t *testing.T) {
	minute := func(n int) string { return fmt.Sprintf("2026-11-22T10:%02d:00Z", n) }
	event := func(kind string, at, steps int) string {
		return fmt.Sprintf(`{"event":%q,"time":%q,"session":{"session":"s·ada","client":"c","steps":%d,"of":10,"passed":0,"failed":0,"undecided":0,"duration":0}}`+"\n", kind, minute(at), steps)
	}
	step := func(at int) string {
		return fmt.Sprintf(`{"event":"step","time":%q,"step":{"session":"s·ada","client":"c","step_id":1,"position":1,"error_code":0,"turn":0,"judged":0}}`+"\n", minute(at))
	}
	file := filepath.Join(t.TempDir(), "1.jsonl")
	text := opened + step(1) + event("suspended", 2, 1) + opened + event("resumed", 3, 1) + step(4) + opened + event("resumed", 6, 2) + event("suspended", 9, 2)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(n int) time.Time { return time.Date(2026, 11, 22, 10, n, 0, 0, time.UTC) }
	want := []Absence{
		{Session: "s·ada", Position: 1, From: at(2), To: at(3)},
		{Session: "s·ada", Position: 2, From: at(4), To: at(6)},
		{Session: "s·ada", Position: 2, From: at(9)},
	}
	if diff := cmp.Diff(want, must(ReadSession(file, "s")).Absences); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

func must(found SessionEvents, err error) SessionEvents {
	if err != nil {
		panic(err)
	}
	return found
}

func TestDamagedFiles(t *testing.T) {
	for text, want := range map[string]string{
		opened + "\n": "f:2: no event", opened + "[]\n": "f:2: no event", opened + `{"event":"step"}` + "\n": "f:2: a step event with nothing in it",
		`{"event":"start","at":0}` + "\n":                       "f:1: an agent's record begins with an open event",
		strings.Replace(opened, `"format":1`, `"format":2`, 1):  "f:1: format 2 is not known",
		opened + strings.Repeat("x", MaxLineBytes+1):            "f:2: the line is longer than",
		opened + `{"event":"step","step":{"turn":-1}}` + "\n":   "is no number of seconds",
		opened + `{"event":"step","step":{"session":7}}` + "\n": "f:2: no step event of an agent's record: step.session must not be of the type number",
	} {
		if _, err := Read(strings.NewReader(text), "f", func(Event) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: error %v, want %s", text, err, want)
		}
	}
}

// For all bytes: an error or events, which are written as they were read.
func FuzzRead(f *testing.F) {
	f.Add([]byte(opened))
	f.Add([]byte(opened + `{"event":"step","time":"2026-11-22T10:00:00Z","step":{"session":"s","client":"c","req":7,"step_id":1,"position":1,"error_code":0,"turn":0.1,"groups":[{"validators":["a"],"queue":0,"took":1}],"judged":1,"replied":2}}` + "\n{"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := Read(bytes.NewReader(raw), "f", func(e Event) error {
			line, err := AppendLine(nil, e)
			if err != nil {
				return err
			}
			again, err := decode(bytes.TrimSuffix(line, []byte("\n")), false)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if second, err := AppendLine(nil, again); err != nil || !bytes.Equal(line, second) {
				t.Fatalf("%s became %s (%v)", line, second, err)
			}
			return nil
		})
		if err != nil && !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("error %v", err)
		}
	})
}
