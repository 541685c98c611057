package tap_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/tap"
	"github.com/stepagent/stepagent/agent/protocol"
)

func writtenAll(t *testing.T, boards ...report.Board) string {
	t.Helper()
	var b bytes.Buffer
	if err := tap.WriteAll(&b, slices.Values(boards)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// run returns a run of one step.
func run(address string, cause record.Cause, verdict record.Verdict, step record.StepResult) record.Run {
	step.Index, step.Step = 1, record.Step{StepID: 1, Timeout: 5 * time.Second}
	return record.Run{
		Start: record.Start{Address: address, Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Procedure: record.Procedure{Name: "a.json"}},
		Cause: cause, Verdict: verdict, Counts: record.Counts{step.Outcome: 1}, Steps: []record.StepResult{step},
		Duration: step.Took + time.Millisecond,
	}
}

func TestWriteAll(t *testing.T) {
	got := writtenAll(t,
		report.Board{Name: "a", Address: "a:8080", Run: run("a:8080", record.Finished, record.Pass, record.StepResult{Outcome: record.Passed, Took: 1500 * time.Microsecond})},
		report.Board{Name: "b", Address: "10.0.0.7:8080", Run: run("10.0.0.7:8080", record.Finished, record.Fail,
			record.StepResult{Outcome: record.Failed, Reason: protocol.OutOfOrder, Detail: "step 2 must come now, got 1"})},
		report.Board{Name: "c", Address: "c:8080", Run: run("c:8080", record.Lost, record.Fail, record.StepResult{Outcome: record.Unreachable, Reason: protocol.Unreachable})},
		report.Board{Name: "d", Address: "d:8080"})
	const want = `TAP version 14
# Subtest: a
    1..1
    # a.json against a:8080 at 2026-11-22 10:00:00 +00:00
    ok 1 - step 1
      ---
      outcome: passed
      duration_ms: 1.500000
      timeout_ms: 5000.000000
      ...
    # pass: the only step was answered in order and in time
ok 1 - a
  ---
  result: passed
  address: "a:8080"
  detail: "pass: the only step was answered in order and in time"
  duration_ms: 2.500000
  ...
# Subtest: b
    1..1
    # a.json against 10.0.0.7:8080 at 2026-11-22 10:00:00 +00:00
    not ok 1 - step 1
      ---
      outcome: failed
      reason: "out_of_order"
      detail: "step 2 must come now, got 1"
      duration_ms: 0.000000
      timeout_ms: 5000.000000
      ...
    # 0 of 1 step passed; step 1 was refused: out_of_order
not ok 2 - b
  ---
  result: failed
  address: "10.0.0.7:8080"
  detail: "fail: 0 of 1 step passed; step 1 was refused: out_of_order"
  duration_ms: 1.000000
  ...
not ok 3 - c
  ---
  result: unreached
  address: "c:8080"
  detail: "no agent could be reached at c:8080; nothing was sent"
  duration_ms: 1.000000
  ...
not ok 4 - d
  ---
  result: not_run
  address: "d:8080"
  detail: "not run"
  duration_ms: 0.000000
  ...
1..4
# fail: 1 of 4 boards failed (b), 1 was not reached (c), 1 was not run (d)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A board of which every step passed and whose record has no end is not ok.
func TestBoardWithoutVerdict(t *testing.T) {
	cut := run("a:8080", "", record.Undecided, record.StepResult{Outcome: record.Passed})
	if got := writtenAll(t, report.Board{Name: "a", Run: cut}); !strings.Contains(got, "\nnot ok 1 - a\n") {
		t.Errorf("got\n%s", got)
	}
}

// Text from elsewhere begins no line and ends no description.
func TestHostileBoard(t *testing.T) {
	evil := "a\nok 3 - forged # SKIP \\\x1b[2J"
	got := writtenAll(t, report.Board{Name: evil, Address: evil, Run: run(evil, record.Finished, record.Pass, record.StepResult{Outcome: record.Passed})})
	if strings.Contains(got, "\nok 3") || strings.Contains(got, "\x1b") || !strings.Contains(got, `ok 1 - a\\nok 3 - forged \# SKIP \\\\x1b[2J`+"\n") {
		t.Errorf("got\n%s", got)
	}
}
