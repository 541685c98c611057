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

func resumption(away time.Duration, next int, sent bool) record.Resumption {
	return record.Resumption{Resumed: record.Resumed{Away: away, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, Next: next, Sent: sent}
}

// The sentence says for how long a run was interrupted, and where.
func TestSentenceOfAResumedRun(t *testing.T) {
	const pass = "pass: all 3 steps were answered in order and in time; "
	for want, resumptions := range map[string][]record.Resumption{
		pass + "the run was interrupted for 12 s before its first step":             {resumption(12*time.Second, 1, false)},
		pass + "the run was interrupted for 12.5 s after step 4":                    {resumption(12500*time.Millisecond, 2, false)},
		pass + "the run was interrupted for 12 s while step 4 waited for its reply": {resumption(12*time.Second, 1, true)},
		pass + "the run was interrupted for 0 ms after step 6":                      {resumption(0, 4, false)},
		pass + "the run was interrupted 2 times, for 13 s in all":                   {resumption(12*time.Second, 2, true), resumption(time.Second, 3, false)},
		strings.TrimSuffix(pass, "; "):                                              nil,
	} {
		run := finished(passes(4, 5, 6)...)
		run.Resumptions = resumptions
		if got := report.Sentence(run); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	run := finished(append(passes(4), fate{5, record.Failed, protocol.OutOfOrder, "step 4 must come now, got 5", 1})...)
	run.Resumptions = []record.Resumption{resumption(time.Hour, 2, false)}
	const gone = "1 of 2 steps passed; step 5 was refused: out_of_order; the run was interrupted for 3600 s after step 4; " +
		"the agent no longer had the session when the run was resumed"
	if got := report.Sentence(run); got != gone {
		t.Errorf("%q, want %q", got, gone)
	}
}

func TestLineAndSummaryOfAResumedRun(t *testing.T) {
	run := finished(passes(4, 5)...)
	run.Resumptions = []record.Resumption{resumption(12*time.Second, 2, true)}
	run.Resumptions[0].Address = "bench-8:8080"
	const line = "resumed: the run was interrupted for 12 s"
	if got := report.Line(record.Event{Kind: record.KindResumed, Resumed: &run.Resumptions[0].Resumed}, record.StepResult{}); got != line {
		t.Errorf("%q, want %q", got, line)
	}
	var b bytes.Buffer
	if err := report.Summary(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	const want = `"resumed":[{"away":12,"time":"2026-03-01T12:00:00Z","index":2,"sent":true,"address":"bench-8:8080"}]`
	if got := strings.Join(strings.Fields(b.String()), ""); !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
}
