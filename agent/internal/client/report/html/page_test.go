package html

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestSentence(t *testing.T) {
	with := func(run record.Run, cause record.Cause, verdict record.Verdict) record.Run {
		run.Cause, run.Verdict, run.Start.Address = cause, verdict, "bench:8080"
		return run
	}
	for want, run := range map[string]record.Run{
		"The test passed: all 10 steps were answered in order and in time.":                             long(10),
		"The test passed: its only step was answered in time.":                                          long(1),
		"The test failed: 2 of 10 steps did not pass.":                                                  long(10, 3, 4),
		"The test failed and was stopped early: 1 of 3 steps did not pass.":                             with(long(3, 1), record.Interrupted, record.Fail),
		"The test failed, and its record ends early: 1 of 3 steps did not pass.":                        with(long(3, 1), "", record.Fail),
		"The test could not start: no agent could be reached at bench:8080, and nothing was sent.":      with(long(3, 1), record.Lost, record.Fail),
		"No step was run, so there is no verdict.":                                                      with(long(0), record.Finished, record.Undecided),
		"The record ends early, so there is no verdict: 3 of 3 steps passed, 0 were not finished.":      with(long(3), "", record.Undecided),
		"The test was stopped early, so there is no verdict: 2 of 2 steps passed, 0 were not finished.": with(long(2), record.Interrupted, record.Undecided),
	} {
		if got := english().sentence(run); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestTime(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.00 ms": 0, "9.99 ms": 9990 * time.Microsecond, "10.0 ms": 9995 * time.Microsecond,
		"999.9 ms": 999949 * time.Microsecond, "1.000 s": 999950 * time.Microsecond, "60.000 s": time.Minute,
	} {
		if got := english().Time(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	if got := korean().Time(5 * time.Second); got != "5.000초" {
		t.Errorf("got %s", got)
	}
}

// The chart of a step shows its result at the right positions.
func TestRow(t *testing.T) {
	run := long(2)
	late := run.Steps[0]
	late.Outcome, late.Took, late.Late = record.TimedOut, 5*time.Second, &record.LateReply{Took: 6 * time.Second}
	run.Steps[0] = late
	far := run.Steps[1]
	far.Timeout = time.Hour
	run.Steps[1] = far
	c := newChart(run)
	classes := func(s record.StepResult) string {
		var all []string
		for _, m := range c.row(s, nil) {
			all = append(all, m.Class)
		}
		return strings.Join(all, " ")
	}
	if got := classes(late); got != "wt l d k a" {
		t.Errorf("a late step shows %s", got)
	}
	if got := classes(far); got != "wp x d k" {
		t.Errorf("a step with a far timeout shows %s", got)
	}
	if got := classes(record.StepResult{}); got != "" {
		t.Errorf("a step that was not run shows %s", got)
	}
	if c.end < 6*time.Second || c.end > 7*time.Second {
		t.Errorf("the axis ends at %v", c.end)
	}
	if got := htmlkit.Scale(time.Hour, c.end); got != htmlkit.ChartWidth {
		t.Errorf("what lies beyond is at %d", got)
	}
}

func TestRepeatedSteps(t *testing.T) {
	run := long(6, 1)
	for _, again := range []int{2, 3, 5} { // after one that failed, one that passed, and not at all
		run.Steps[again].StepID = 1
	}
	run.Steps[5].Outcome = record.NotRun
	if got := retries(run.Steps); len(got) != 1 || got[3] != 1 {
		t.Errorf("got %v", got)
	}
	if got := newExplainer(english(), run).step(run.Steps[2]).Sentences; len(got) != 1 || got[0] != "The same step was sent before, as no. 1." {
		t.Errorf("got %q", got)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	run := long(0)
	for i := range 500 {
		s := record.StepResult{Index: i + 1, Outcome: record.Failed, Reason: "busy"}
		if i >= 100 {
			s.Reason = protocol.Reason(strings.Repeat("x", i))
		}
		run.Steps = append(run.Steps, s)
	}
	got := problems(english(), run.Steps)
	if last := got[len(got)-1]; last.Sentence != "381 more steps did not pass for other reasons." {
		t.Errorf("the last one is %+v", last)
	}
	if len(got) != maxProblems+1 || len(got[0].Steps) != maxNamedSteps || got[0].More != "and 60 more" {
		t.Errorf("%d problems, %d steps of the first, %q", len(got), len(got[0].Steps), got[0].More)
	}
}
