package junit_test

import (
	"bytes"
	"encoding/xml"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/junit"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A node is any element of the document.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []node     `xml:",any"`
	Text     string     `xml:",chardata"`
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n node) named(name string) []node {
	return slices.DeleteFunc(slices.Clone(n.Children), func(c node) bool { return c.XMLName.Local != name })
}

// written returns the one suite of the run's document.
func written(t *testing.T, run record.Run) node {
	t.Helper()
	var b bytes.Buffer
	if err := junit.Write(&b, run); err != nil {
		t.Fatal(err)
	}
	var root node
	if err := xml.Unmarshal(b.Bytes(), &root); err != nil {
		t.Fatal(err)
	}
	if root.XMLName.Local != "testsuites" || len(root.Attrs) != 0 || len(root.Children) != 1 {
		t.Fatalf("the root is %v", root)
	}
	return root.Children[0]
}

func example(t *testing.T) record.Run {
	t.Helper()
	log, err := record.ReadFile("../../record/testdata/format1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	run, err := log.Fold()
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// The parts of the suite, their order and their attributes are those of the schema, which an
// acceptance test checks with a validator; here is what it cannot say.
func TestSuite(t *testing.T) {
	run := example(t)
	run.Agents = []string{"stepagent 1.2.0"}
	suite := written(t, run)
	for name, want := range map[string]string{
		"tests": "8", "failures": "2", "errors": "4", "name": "steps.json", "hostname": "bench-7",
		"time": "1.613810531", "timestamp": "2026-11-22T17:12:59", "package": "stepctl", "id": "0",
	} {
		if got := suite.attr(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var parts []string
	for _, c := range suite.Children {
		parts = append(parts, c.XMLName.Local)
	}
	if parts = slices.Compact(parts); !slices.Equal(parts, []string{"properties", "testcase", "system-out", "system-err"}) {
		t.Errorf("the parts are %v", parts)
	}
	properties := map[string]string{}
	for _, p := range suite.named("properties")[0].Children {
		properties[p.attr("name")] = p.attr("value")
	}
	for name, want := range map[string]string{"client": "stepctl devel", "agent": "stepagent 1.2.0", "verdict": "fail",
		"cause": "finished", "procedure": "steps.json", "address": "localhost:18471", "record.format": "1"} {
		if properties[name] != want {
			t.Errorf("property %s is %q, want %q", name, properties[name], want)
		}
	}
	wants := []string{"", "error timeout", "failure out_of_order", "error connection_lost", "", "error wrong_reply", "error timeout", "failure timeout_too_short"}
	names := map[string]bool{}
	for i, c := range suite.named("testcase") {
		got := ""
		if len(c.Children) == 1 {
			got = c.Children[0].XMLName.Local + " " + c.Children[0].attr("type")
			if c.Children[0].attr("message") == "" {
				t.Errorf("%s says nothing", c.attr("name"))
			}
		}
		if got != wants[i] || len(c.Children) > 1 {
			t.Errorf("%s is %q, want %q", c.attr("name"), got, wants[i])
		}
		names[c.attr("name")] = true
	}
	if len(names) != 8 {
		t.Errorf("the names are %v", names)
	}
	if err := suite.named("system-err")[0].Text; !strings.Contains(err, "step 5: stray: duplicate") {
		t.Errorf("system-err is %q", err)
	}
}

// A failure of the agent, and a step that was not judged, is no failure of the client and
// no pass either.
func TestWhatWasNotJudgedIsAnError(t *testing.T) {
	for _, outcome := range record.Outcomes() {
		run := record.Run{Steps: []record.StepResult{{Index: 1, Outcome: outcome}}}
		if outcome == record.Passed {
			run.Verdict = record.Pass
		}
		suite := written(t, run)
		want := [2]string{"0", "1"}
		switch outcome {
		case record.Passed:
			want = [2]string{"0", "0"}
		case record.Failed:
			want = [2]string{"1", "0"}
		}
		if got := [2]string{suite.attr("failures"), suite.attr("errors")}; got != want {
			t.Errorf("%s: failures and errors %v, want %v", outcome, got, want)
		}
	}
	busy := written(t, record.Run{Steps: []record.StepResult{{Index: 1, Outcome: record.Failed, Reason: protocol.Busy}}})
	if busy.attr("errors") != "1" || busy.attr("failures") != "0" {
		t.Error("an agent that was busy blames the client")
	}
}

// A run that has no verdict although each of its steps passed has a further case, with an error.
func TestRunWithoutAVerdictIsAnError(t *testing.T) {
	passed := []record.StepResult{{Index: 1, Outcome: record.Passed}}
	tests := []struct {
		name string
		run  record.Run
		why  string // of the further case; empty for none
	}{
		{"passed", record.Run{Steps: passed, Cause: record.Finished, Verdict: record.Pass}, ""},
		{"cut", record.Run{Steps: passed, Counts: record.Counts{record.Passed: 1}},
			"the record ends before the run did: 1 of 1 step passed"},
		{"interrupted after its last step", record.Run{Steps: passed, Counts: record.Counts{record.Passed: 1}, Cause: record.Interrupted},
			"interrupted: 1 of 1 step passed"},
		{"cut, with a step that was not run", record.Run{Steps: make([]record.StepResult, 1)}, ""},
	}
	if suite := written(t, record.Run{Cause: record.Finished}); suite.attr("tests") != "1" || suite.attr("errors") != "1" {
		t.Errorf("a run without steps has the cases %v", suite.named("testcase"))
	}
	for _, tt := range tests {
		_, root := writtenAll(t, report.Board{Name: "b", Run: tt.run})
		for _, suite := range []node{written(t, tt.run), root.Children[0]} {
			cases := suite.named("testcase")
			further := cases[len(tt.run.Steps):]
			if suite.attr("tests") != strconv.Itoa(len(cases)) || len(further) > 1 || (len(further) == 1) != (tt.why != "") {
				t.Errorf("%s: %s tests, cases %v", tt.name, suite.attr("tests"), cases)
				continue
			}
			if tt.why == "" {
				continue
			}
			if p := further[0].named("error"); suite.attr("errors") != "1" || len(p) != 1 || p[0].attr("message") != tt.why || p[0].attr("type") != "undecided" {
				t.Errorf("%s: %s errors, the further case is %v", tt.name, suite.attr("errors"), further[0])
			}
		}
	}
}

// Any text in a record gives a well-formed document.
func TestHostileText(t *testing.T) {
	evil := "]]><a b='\"&\x00\x01\x1b\ufffe\ud7ff\u202e\xff"
	run := record.Run{Start: record.Start{Host: evil, Address: evil, Session: evil, Client: evil,
		Procedure: record.Procedure{Name: "../" + evil, SHA256: evil}}, Agents: []string{evil},
		Steps:  []record.StepResult{{Index: 1, Outcome: record.Failed, Reason: protocol.Reason(evil), Detail: evil}},
		Strays: []record.Event{{Kind: record.KindStray, Stray: record.StrayGarbage, Detail: evil}}}
	suite := written(t, run)
	if message := suite.named("testcase")[0].Children[0].attr("message"); !strings.HasPrefix(message, `]]><a b='"&\x00\x01`) {
		t.Errorf("the message is %q", message)
	}
	if host := written(t, record.Run{Start: record.Start{Host: " "}}).attr("hostname"); host != "localhost" {
		t.Errorf("a host without a name is %q", host)
	}
}

// Times are decimals, never with an exponent.
func TestTimes(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Microsecond, 100 * 365 * 24 * time.Hour} {
		suite := written(t, record.Run{Duration: d, Steps: []record.StepResult{{Took: d}}})
		for _, text := range []string{suite.attr("time"), suite.named("testcase")[0].attr("time")} {
			if !regexp.MustCompile(`^\d+(\.\d+)?$`).MatchString(text) {
				t.Errorf("%v is %q", d, text)
			}
		}
	}
}
