package junit_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/junit"
	"github.com/stepagent/stepagent/agent/protocol"
)

// writtenAll returns the document of boards as text and as its root.
func writtenAll(t *testing.T, boards ...report.Board) (string, node) {
	t.Helper()
	var b bytes.Buffer
	if err := junit.WriteAll(&b, slices.Values(boards)); err != nil {
		t.Fatal(err)
	}
	var root node
	if err := xml.Unmarshal(b.Bytes(), &root); err != nil {
		t.Fatal(err)
	}
	return b.String(), root
}

// board returns a board with a run of the steps.
func board(name string, cause record.Cause, verdict record.Verdict, steps ...record.StepResult) report.Board {
	run := record.Run{
		Start: record.Start{Format: 1, Client: "1.2.0", Host: "laptop", Address: name + ":8080", Session: "s",
			Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Procedure: record.Procedure{Name: "timeout.json", SHA256: "ab"}},
		Agents: []string{"stepagent 1.2.0"}, Cause: cause, Verdict: verdict, Steps: steps, Counts: record.Counts{}, Duration: 1500 * time.Millisecond,
	}
	for i := range steps {
		run.Steps[i].Index, run.Steps[i].StepID = i+1, int64(i+1)
		run.Counts[steps[i].Outcome]++
	}
	return report.Board{Name: name, Address: name + ":8080", Run: run}
}

var (
	good = record.StepResult{Outcome: record.Passed, Took: time.Millisecond}
	bad  = record.StepResult{Outcome: record.Failed, Reason: protocol.OutOfOrder, Detail: "step 3 must come now, got 2", Took: time.Millisecond}
	away = record.StepResult{Outcome: record.Unreachable, Reason: protocol.Unreachable, Detail: "the agent cannot be reached: connection refused"}
)

func TestWriteAll(t *testing.T) {
	got, _ := writtenAll(t, board("b.lab", record.Finished, record.Fail, good, bad), board("c", record.Lost, record.Fail, away, record.StepResult{}))
	const want = xml.Header + `<testsuites>
  <testsuite id="0" name="timeout.json@b.lab" package="stepctl" tests="2" failures="1" errors="0" time="1.5" timestamp="2026-11-22T10:00:00" hostname="laptop">
    <properties>
      <property name="client" value="stepctl 1.2.0"></property>
      <property name="agent" value="stepagent 1.2.0"></property>
      <property name="address" value="b.lab:8080"></property>
      <property name="session" value="s"></property>
      <property name="procedure" value="timeout.json"></property>
      <property name="procedure.sha256" value="ab"></property>
      <property name="started" value="2026-11-22T10:00:00Z"></property>
      <property name="cause" value="finished"></property>
      <property name="verdict" value="fail"></property>
      <property name="record.format" value="1"></property>
      <property name="board" value="b.lab"></property>
    </properties>
    <testcase name="1. step 1" classname="stepctl.b_lab.timeout" time="0.001"></testcase>
    <testcase name="2. step 2" classname="stepctl.b_lab.timeout" time="0.001">
      <failure message="step 3 must come now, got 2" type="out_of_order">step 3 must come now, got 2</failure>
    </testcase>
    <system-out>1 of 2 steps passed; step 2 was refused: out_of_order&#xA;</system-out>
    <system-err></system-err>
  </testsuite>
  <testsuite id="1" name="timeout.json@c" package="stepctl" tests="1" failures="0" errors="1" time="1.5" timestamp="2026-11-22T10:00:00" hostname="laptop">
    <properties>
      <property name="client" value="stepctl 1.2.0"></property>
      <property name="agent" value="stepagent 1.2.0"></property>
      <property name="address" value="c:8080"></property>
      <property name="session" value="s"></property>
      <property name="procedure" value="timeout.json"></property>
      <property name="procedure.sha256" value="ab"></property>
      <property name="started" value="2026-11-22T10:00:00Z"></property>
      <property name="cause" value="lost"></property>
      <property name="verdict" value="fail"></property>
      <property name="record.format" value="1"></property>
      <property name="board" value="c"></property>
    </properties>
    <testcase name="connect" classname="stepctl.c.timeout" time="1.5">
      <error message="the agent cannot be reached: connection refused" type="unreachable">no agent could be reached at c:8080; nothing was sent</error>
    </testcase>
    <system-out>no agent could be reached at c:8080; nothing was sent&#xA;</system-out>
    <system-err></system-err>
  </testsuite>
</testsuites>
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// No two suites have the same name and no two cases the same class and name, whatever the boards are called.
func TestEveryBoardIsShown(t *testing.T) {
	names := []string{"a.b", "a_b", "a.b.timeout", "a-b", "10.0.0.7", "보드", "a_b-2"}
	var boards []report.Board
	for _, name := range names {
		boards = append(boards, board(name, record.Finished, record.Pass, good, good))
	}
	_, root := writtenAll(t, boards...)
	suites, cases := map[string]bool{}, map[string]bool{}
	for i, s := range root.Children {
		suites[s.attr("name")] = true
		if s.attr("id") != fmt.Sprint(i) || s.attr("tests") != "2" || s.attr("failures")+s.attr("errors") != "00" {
			t.Errorf("suite %d is %v", i, s.Attrs)
		}
		for _, c := range s.named("testcase") {
			cases[c.attr("classname")+" "+c.attr("name")] = true
			if parts := strings.Split(c.attr("classname"), "."); len(parts) != 3 || parts[0] != "stepctl" {
				t.Errorf("the class %s has not three parts", c.attr("classname"))
			}
		}
	}
	if len(suites) != len(names) || len(cases) != 2*len(names) {
		t.Errorf("%d boards have %d names and %d cases", len(names), len(suites), len(cases))
	}
}

// A board that has no verdict is never shown as one that passed.
func TestBoardsWithoutVerdict(t *testing.T) {
	for _, test := range []struct {
		board              report.Board
		name, kind, errors string
	}{
		{report.Board{Name: "a", Address: "a:8080"}, "start", "not_run", "1"},
		{board("a", record.Interrupted, record.Undecided, record.StepResult{}, record.StepResult{}), "start", "not_run", "1"},
		{board("a", record.Interrupted, record.Undecided, good, record.StepResult{}, record.StepResult{}), "1. step 1", "", "2"},
		{board("a", record.Refused, record.Fail, away, record.StepResult{}), "connect", "unreachable", "1"},
	} {
		_, root := writtenAll(t, test.board)
		s := root.Children[0]
		first := s.named("testcase")[0]
		kind := ""
		if len(first.Children) > 0 {
			kind = first.Children[0].attr("type")
		}
		if first.attr("name") != test.name || kind != test.kind || s.attr("errors") != test.errors {
			t.Errorf("got %s %q with %s errors, want %s %q with %s", first.attr("name"), kind, s.attr("errors"), test.name, test.kind, test.errors)
		}
		for _, c := range s.named("testcase") {
			for _, p := range c.Children {
				if p.Text == "" || p.attr("message") == "" {
					t.Errorf("%s: a %s says only %q, %q", c.attr("name"), p.XMLName.Local, p.attr("message"), p.Text)
				}
			}
		}
		if got := s.named("properties")[0].Children[2].attr("value"); got != "a:8080" {
			t.Errorf("%s: the address is %q", test.name, got)
		}
	}
}

// Any name of a board gives a well-formed document.
func TestHostileBoard(t *testing.T) {
	evil := "]]><a b='\"&\x00\x01\x1b\ufffe.\u202e\xff"
	_, root := writtenAll(t, report.Board{Name: evil, Address: evil}, board(evil, record.Finished, record.Pass, good))
	if len(root.Children) != 2 {
		t.Errorf("there are %d suites", len(root.Children))
	}
}
