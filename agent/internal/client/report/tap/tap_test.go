package tap_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report/tap"
	"github.com/stepagent/stepagent/agent/protocol"
)

func written(t *testing.T, run record.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := tap.Write(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	run := record.Run{
		Start: record.Start{Address: "bench:8080", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Procedure: record.Procedure{Name: "a.json"}},
		Cause: record.Interrupted, Verdict: record.Undecided, Counts: record.Counts{record.Passed: 1, record.NotRun: 1},
		Steps: []record.StepResult{
			{Index: 1, Step: record.Step{StepID: 1, Timeout: 5 * time.Second, Interval: time.Second}, Outcome: record.Passed,
				Took: 1500 * time.Microsecond, Kept: protocol.Seconds(time.Second)},
			{Index: 2, Step: record.Step{StepID: -7}},
		},
	}
	const want = `TAP version 14
1..2
# a.json against bench:8080 at 2026-11-22 10:00:00 +00:00
ok 1 - step 1
  ---
  outcome: passed
  duration_ms: 1.500000
  timeout_ms: 5000.000000
  interval_ms: 1000.000000
  interval_kept_ms: 1000.000000
  ...
not ok 2 - step -7
  ---
  outcome: not_run
  ...
# interrupted: 1 of 2 steps passed; step -7 was not run
Bail out! interrupted
`
	if diff := cmp.Diff(want, written(t, run)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// With any text in a record, each line is a TAP line or part of a YAML block, and the
// block gives the text back.
func TestHostileText(t *testing.T) {
	evil := "a\nok 3 - forged\nBail out! \x1b[2J # SKIP \\ \"  ...\n"
	log, err := record.ReadFile("../../record/testdata/format1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	run, err := log.Fold()
	if err != nil {
		t.Fatal(err)
	}
	run.Start.Procedure.Name, run.Strays[0].Detail = evil, evil
	for i := range run.Steps {
		run.Steps[i].Detail = evil
	}
	text := written(t, run)
	line := regexp.MustCompile(`^(TAP version 14|1\.\.8|# .*|(not )?ok [1-8] - step -?\d+|  .*|)$`)
	for l := range strings.SplitSeq(text, "\n") {
		if !line.MatchString(l) {
			t.Errorf("there is a line %q", l)
		}
	}
	for _, block := range regexp.MustCompile(`(?s)  ---\n(.*?)  \.\.\.\n`).FindAllStringSubmatch(text, -1) {
		var got struct{ Outcome, Detail string }
		if err := yaml.Unmarshal([]byte(block[1]), &got); err != nil || got.Outcome == "" {
			t.Errorf("%q: %v", block[1], err)
		}
		if want := `a\nok 3 - forged\nBail out! \x1b[2J # SKIP \ "  ...\n`; got.Detail != want {
			t.Errorf("detail %q, want %q", got.Detail, want)
		}
	}
}

// No harness takes a run without a verdict for a pass.
func TestBailOut(t *testing.T) {
	step := []record.StepResult{{Index: 1, Outcome: record.Passed}}
	for want, run := range map[string]record.Run{
		"Bail out! nothing was run\n":                    {Cause: record.Finished},
		"Bail out! the record ends before the run did\n": {Steps: step},
		"Bail out! interrupted\n":                        {Steps: step, Cause: record.Interrupted},
	} {
		if got := written(t, run); !strings.HasSuffix(got, "\n"+want) {
			t.Errorf("got\n%swant %s", got, want)
		}
	}
	if got := written(t, record.Run{Steps: step, Cause: record.Finished, Verdict: record.Pass}); strings.Contains(got, "Bail") {
		t.Errorf("got\n%s", got)
	}
}
