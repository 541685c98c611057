package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/protocol"
)

// between is a run whose steps, from 4 on, went to the agents at the addresses; it began with a:1.
func between(addresses ...string) record.Run {
	ids := make([]int64, len(addresses))
	for i := range ids {
		ids[i] = int64(4 + i)
	}
	run := finished(passes(ids...)...)
	run.Start.Address, run.Start.Addresses = "a:1", []string{"a:1", "b:1"}
	for i, address := range addresses {
		run.Steps[i].Tries = 1
		if address != "a:1" {
			run.Steps[i].Address = address
		}
	}
	return run
}

// The sentence says with which other agents a run went on, and from which step.
func TestSentenceOfARunThatMoved(t *testing.T) {
	for want, run := range map[string]record.Run{
		"":                                  between("a:1", "a:1", "a:1"),
		"; began at b:1":                    between("b:1", "b:1", "b:1"),
		"; went on at b:1 from step 5":      between("a:1", "b:1", "b:1"),
		"; went on at b\\x1b:1 from step 6": between("a:1", "a:1", "b\x1b:1"),
		"; began at b:1 and went on at a:1 from step 6":                           between("b:1", "b:1", "a:1"),
		"; went on at b:1 from step 5, at c:1 from step 6 and at a:1 from step 8": between("a:1", "b:1", "c:1", "c:1", "a:1"),
		"; moved to another agent 4 times, and went on at a:1 from step 8":        between("a:1", "b:1", "a:1", "b:1", "a:1"),
		"; moved to another agent 5 times, and went on at b:1 from step 9":        between("a:1", "b:1", "c:1", "b:1", "c:1", "b:1"),
		"; began at c:1, went on at b:1 from step 5 and at c:1 from step 6":       between("c:1", "b:1", "c:1"),
		"; reconnected at step 5: the agent was away for 2.00 ms; went on at b:1 from step 5": func() record.Run {
			run := between("a:1", "b:1")
			away(&run)
			return run
		}(),
	} {
		const pass = " steps were answered in order and in time"
		if _, got, _ := strings.Cut(report.Sentence(run), pass); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	run := between("a:1", "b:1")
	run.Steps[1].Outcome, run.Steps[1].Reason, run.Steps[1].Detail = record.Failed, protocol.OutOfOrder, "step 4 must come now, got 5"
	if got := report.Sentence(run); !strings.HasSuffix(got, "; went on at b:1 from step 5; the agent at b:1 did not have the session") {
		t.Errorf("%q", got)
	}
	run = between("a:1")
	run.Cause = record.Lost
	if got := report.Sentence(run); got != "no agent could be reached at a:1 and b:1; nothing was sent" {
		t.Errorf("%q", got)
	}
}

// away makes the second step one that was lost at first.
func away(run *record.Run) {
	step := &run.Steps[1]
	step.Tries, step.Retry, step.Reconnects, step.Away = 2, record.RetryLost, 1, 2*time.Millisecond
	run.Reconnects, run.Away = 1, 2*time.Millisecond
}

// Table, lines and summary say to which agent a step went.
func TestStepsThatMoved(t *testing.T) {
	run := between("a:1", "b:1")
	away(&run)
	if got, want := table(t, run, report.Style{}), "reconnected to b:1: the agent was away for 2.00 ms; sent 2 times"; !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
	for want, e := range map[string]record.Event{
		"step 5: sent to b:1": {Kind: record.KindResent, StepID: 5, Address: "b:1"},
		"step 4: sent to b:1": {Kind: record.KindSent, StepID: 4, Address: "b:1"},
		"":                    {Kind: record.KindSent, StepID: 4},
	} {
		if got := report.Line(e, record.StepResult{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	var b bytes.Buffer
	if err := report.Summary(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(b.String()), "")
	for _, want := range []string{`"address":"a:1","addresses":["a:1","b:1"],"moved":[{"index":2,"step_id":5,"address":"b:1"}]`, `"away":0.002,"address":"b:1"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if strings.Count(got, "b:1") != 4 {
		t.Errorf("the first step has an address in %s", got)
	}
}
