package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A fate is the result of one step of a run.
type fate struct {
	id      int64
	outcome record.Outcome
	reason  protocol.Reason
	detail  string
	took    time.Duration
}

// finished makes a run of the fates, as record.Fold would.
func finished(fates ...fate) record.Run {
	run := record.Run{Cause: record.Finished, Counts: record.Counts{}, Verdict: record.Pass}
	for i, f := range fates {
		run.Steps = append(run.Steps, record.StepResult{Index: i + 1, Step: record.Step{StepID: f.id, Timeout: 5 * time.Second},
			Outcome: f.outcome, Reason: f.reason, Detail: f.detail, Took: f.took})
		run.Counts[f.outcome]++
		if f.outcome != record.Passed {
			run.Verdict = record.Fail
		}
	}
	return run
}

func passes(ids ...int64) []fate {
	var fates []fate
	for _, id := range ids {
		fates = append(fates, fate{id: id, outcome: record.Passed, took: time.Millisecond})
	}
	return fates
}

// mixed is a run in which nearly everything happened.
func mixed() record.Run {
	run := finished(
		fate{1, record.Passed, "", "", 1234 * time.Microsecond},
		fate{100, record.Failed, protocol.OutOfOrder, "expected step 2, got 100", 12 * time.Microsecond},
		fate{3, record.TimedOut, protocol.Timeout, "no reply came within 5s", 5 * time.Second},
		fate{4, record.ConnectionLost, protocol.ConnectionLost, "connection reset by peer", time.Second},
		fate{5, record.Passed, "", "", 2500 * time.Millisecond},
		fate{6, record.WrongReply, protocol.WrongReply, "reply to step_id 7", time.Millisecond},
		fate{7, record.Unreachable, protocol.Unreachable, "connection refused", 0},
		fate{8, record.NotRun, "", "", 0},
	)
	run.Steps[2].Late = &record.LateReply{Took: 5800 * time.Millisecond}
	run.Strays = []record.Event{{Kind: record.KindStray}}
	return run
}

func table(t *testing.T, run record.Run, style report.Style) string {
	t.Helper()
	var b strings.Builder
	if err := report.Table(&b, run, style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	const want = `
step  verdict      reason           response  detail
   1  ok           -                 1.23 ms
 100  NOK          out_of_order      0.01 ms  expected step 2, got 100
   3  timeout      timeout                 -  no reply came within 5s; one came after 5.800 s, too late
   4  lost         connection_lost         -  connection reset by peer
   5  ok           -                 2.500 s
   6  wrong reply  wrong_reply             -  reply to step_id 7
   7  unreachable  unreachable             -  connection refused
   8  not run      -                       -
`
	if diff := cmp.Diff(want[1:], table(t, mixed(), report.Style{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	const want = `
step  verdict  reason       response  detail
   1  ok       -             1.00 ms
   2  NOK      rule_broken   1.00 ms  온도가 높다 and the
                                      pressure is low
`
	run := finished(passes(1)[0], fate{2, record.Failed, protocol.RuleBroken, "온도가 높다 and the pressure is low", time.Millisecond})
	if diff := cmp.Diff(want[1:], table(t, run, report.Style{Width: 63})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	// Where there is no room the terminal may break the lines, which loses nothing.
	if got := table(t, run, report.Style{Width: 50}); !strings.Contains(got, "온도가 높다 and the pressure is low\n") {
		t.Errorf("a narrow terminal gave\n%s", got)
	}
}

func TestWrap(t *testing.T) {
	for width, want := range map[int]string{
		0: "one two three", 13: "one two three", 12: "one two\nthree", 7: "one two\nthree", 2: "one\ntwo\nthree",
	} {
		if got := (report.Style{Width: width}).Wrap("one two three"); got != want {
			t.Errorf("width %d: got %q, want %q", width, got, want)
		}
	}
}

func TestTableColours(t *testing.T) {
	coloured := table(t, mixed(), report.Style{Colour: true})
	for _, want := range []string{"\x1b[32mok\x1b[0m  ", "\x1b[31mNOK\x1b[0m  ", "\x1b[33mnot run\x1b[0m  "} {
		if !strings.Contains(coloured, want) {
			t.Errorf("no %q in\n%q", want, coloured)
		}
	}
	plain := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(coloured)
	if diff := cmp.Diff(table(t, mixed(), report.Style{}), plain); diff != "" {
		t.Errorf("colours move the columns (-plain +coloured):\n%s", diff)
	}
}

// Nothing that an agent sends may move the cursor or begin a line.
func TestHostileText(t *testing.T) {
	evil := "a\x1b[2Jb\r\nc\u202e\u009b31m\xff\u2028"
	const harmless = `a\x1b[2Jb\r\nc\u202e\u009b31m\xff\u2028`
	run := finished(fate{1, record.Failed, protocol.Reason(evil), evil, time.Millisecond})
	line := report.Line(record.Event{Kind: record.KindReply, Index: 1, StepID: 1}, run.Steps[0])
	stray := report.Line(record.Event{Kind: record.KindStray, Stray: record.StrayGarbage, Detail: evil}, record.StepResult{})
	unreached := record.Run{Start: record.Start{Address: evil}, Cause: record.Lost}
	for _, text := range []string{table(t, run, report.Style{}), report.Sentence(run), report.Sentence(unreached), line, stray} {
		if !strings.Contains(text, harmless) {
			t.Errorf("%q does not contain %s", text, harmless)
		}
		if strings.ContainsAny(text, "\x1b\r\u202e\u009b\u2028") || !utf8.ValidString(text) {
			t.Errorf("%q contains what a terminal obeys", text)
		}
	}
}

func TestSentence(t *testing.T) {
	refused := func(id int64, reason protocol.Reason) fate {
		return fate{id: id, outcome: record.Failed, reason: reason}
	}
	notRun := func(id int64) fate { return fate{id: id} }
	interrupted := finished(append(passes(1, 2, 3), fate{id: 4, outcome: record.Unanswered}, notRun(5), notRun(6))...)
	interrupted.Cause, interrupted.Verdict = record.Interrupted, record.Undecided
	cut := finished(passes(1, 2)...)
	cut.Cause, cut.Verdict = "", record.Undecided
	unreached := finished(fate{id: 1, outcome: record.Unreachable}, notRun(2))
	unreached.Cause, unreached.Start.Address = record.Lost, "[::1]:8080"
	late := finished(passes(1, 2)...)
	late.Steps[0].Late, late.Strays = &record.LateReply{}, make([]record.Event, 2)
	flooded := finished(passes(1)...)
	flooded.Strays, flooded.Dropped = make([]record.Event, 1), 10
	var many, reasons []fate
	for id := range int64(20) {
		many = append(many, refused(2*id, "busy"))
		reasons = append(reasons, refused(id, protocol.Reason(fmt.Sprint("r", id))))
	}
	tests := []struct {
		run  record.Run
		want string
	}{
		{finished(passes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)...), "pass: all 10 steps were answered in order and in time"},
		{finished(passes(1)...), "pass: the only step was answered in order and in time"},
		{finished(append(passes(1, 2), refused(100, protocol.OutOfOrder))...), "2 of 3 steps passed; step 100 was refused: out_of_order"},
		{finished(refused(3, "")), "0 of 1 step passed; step 3 was refused: no reason given"},
		{finished(refused(9, "busy"), refused(10, "busy"), passes(11)[0]), "1 of 3 steps passed; steps 9 and 10 were refused: busy"},
		{finished(refused(1, "busy"), refused(3, "busy"), refused(4, "busy"), refused(5, "busy"), refused(-2, "busy")),
			"0 of 5 steps passed; steps 1, 3 to 5 and -2 were refused: busy"},
		{finished(many...), "0 of 20 steps passed; 20 steps were refused: busy"},
		{mixed(), "2 of 8 steps passed; step 100 was refused: out_of_order; step 3 was not answered in time; " +
			"step 4 was cut off: the connection was lost; step 6 was answered with something else; " +
			"step 7 was not sent: no connection; step 8 was not run; " +
			"1 reply came too late; 1 message from the agent answered no request"},
		{interrupted, "interrupted: 3 of 6 steps passed; step 4 was sent, and interrupted before a reply came; steps 5 and 6 were not run"},
		{cut, "the record ends before the run did: 2 of 2 steps passed"},
		{unreached, "no agent could be reached at [::1]:8080; nothing was sent"},
		{late, "pass: all 2 steps were answered in order and in time; 1 reply came too late; 2 messages from the agent answered no request"},
		{finished(reasons...), "0 of 20 steps passed; step 0 was refused: r0; step 1 was refused: r1; step 2 was refused: r2; " +
			"step 3 was refused: r3; step 4 was refused: r4; step 5 was refused: r5; step 6 was refused: r6; step 7 was refused: r7; " +
			"12 more steps did not pass for other reasons"},
		{flooded, "pass: the only step was answered in order and in time; " +
			"11 messages from the agent answered no request, of which 10 were counted and not kept"},
		{record.Run{}, "nothing was run"},
	}
	for _, test := range tests {
		if got := report.Sentence(test.run); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestLine(t *testing.T) {
	kinds := []record.Kind{record.KindReply, record.KindReply, record.KindTimeout, record.KindLost, record.KindReply,
		record.KindWrong, record.KindUnreachable}
	want := []string{
		"step 1: ok (1.23 ms)",
		"step 100: NOK out_of_order: expected step 2, got 100 (0.01 ms)",
		"step 3: timeout: no reply came within 5s",
		"step 4: lost: connection reset by peer",
		"step 5: ok (2.500 s)",
		"step 6: wrong reply: reply to step_id 7",
		"step 7: unreachable: connection refused",
	}
	for i, kind := range kinds {
		step := mixed().Steps[i]
		if got := report.Line(record.Event{Kind: kind, Index: i + 1, StepID: step.StepID}, step); got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
	others := map[string]record.Event{
		"": {Kind: record.KindSent, Index: 1, StepID: 1},
		"step 3: late: the reply came 5.800 s after the request": {Kind: record.KindLate, Index: 3, StepID: 3, Took: 5800 * time.Millisecond},
		"step 3: stray: duplicate: came again":                   {Kind: record.KindStray, Index: 3, StepID: 3, Stray: record.StrayDuplicate, Detail: "came again"},
		"stray: garbage":                                         {Kind: record.KindStray, Stray: record.StrayGarbage},
	}
	for want, e := range others {
		if got := report.Line(e, record.StepResult{}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	run := mixed()
	run.Start = record.Start{Address: "localhost:8080", Session: "s", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Procedure: record.Procedure{Name: "x.json", SHA256: "ab"}}
	run.Duration = 12500 * time.Millisecond
	run.Steps[0].Kept = protocol.Seconds(0)
	run.Steps[0].Interval = 250 * time.Millisecond
	var b bytes.Buffer
	if err := report.Summary(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	steps := got["steps"].([]any)
	if len(steps) != 8 {
		t.Fatalf("%d steps", len(steps))
	}
	got["steps"] = steps[:3]
	want := map[string]any{
		"verdict": "fail", "sentence": report.Sentence(run), "cause": "finished",
		"procedure": map[string]any{"name": "x.json", "sha256": "ab"},
		"address":   "localhost:8080", "session": "s", "started": "2026-11-22T10:00:00Z", "duration": 12.5,
		"counts": map[string]any{"passed": 2.0, "failed": 1.0, "timed_out": 1.0, "lost": 1.0, "wrong_reply": 1.0,
			"unreachable": 1.0, "not_run": 1.0},
		"strays": 1.0,
		"steps": []any{
			map[string]any{"index": 1.0, "step_id": 1.0, "outcome": "passed", "timeout": 5.0, "interval": 0.25,
				"response": 0.001234, "kept": 0.0},
			map[string]any{"index": 2.0, "step_id": 100.0, "outcome": "failed", "reason": "out_of_order",
				"detail": "expected step 2, got 100", "timeout": 5.0, "interval": 0.0, "response": 0.000012},
			map[string]any{"index": 3.0, "step_id": 3.0, "outcome": "timed_out", "reason": "timeout",
				"detail": "no reply came within 5s", "timeout": 5.0, "interval": 0.0, "late": 5.8},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}
