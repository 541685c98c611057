// Package tap writes the report of a run as TAP, the Test Anything Protocol, version 14
// (testanything.org).
package tap

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Write writes a test point for each expected step, with its details as YAML. Every step that did
// not pass is "not ok", even one that was not run: a harness would count a skipped test as passed. A
// run without a verdict bails out at its end.
func Write(w io.Writer, run record.Run) error {
	out := bufio.NewWriter(w) // Flush returns the first error
	p := printer{out, ""}
	p.line("TAP version 14")
	p.points(run)
	if run.Verdict == record.Undecided {
		p.line("Bail out! %s", bail(run))
	}
	return out.Flush()
}

// A printer writes lines with an indent, which is that of a subtest.
type printer struct {
	out    *bufio.Writer
	indent string
}

// line writes the lines of a format.
func (p printer) line(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		_, _ = p.out.WriteString(p.indent + line + "\n")
	}
}

// points writes the plan and the test points of a run.
func (p printer) points(run record.Run) {
	p.line("1..%d", len(run.Steps))
	p.line("# %s", report.Heading(run))
	for _, secured := range report.Security(run) {
		p.line("# %s", secured)
	}
	for _, step := range run.Steps {
		p.point(step.Outcome == record.Passed, step.Index, fmt.Sprint("step ", step.StepID))
		p.diagnose(step)
	}
	for _, stray := range run.Strays {
		p.line("# %s", report.Line(stray, record.StepResult{}))
	}
	p.line("# %s", report.Sentence(run))
}

// point writes a test point without its diagnosis.
func (p printer) point(passed bool, number int, name string) {
	ok := "ok"
	if !passed {
		ok = "not ok"
	}
	p.line("%s %d - %s", ok, number, name)
}

// diagnose writes the YAML block of a step. JSON strings are valid YAML.
func (p printer) diagnose(step record.StepResult) {
	if step.Outcome == record.NotRun {
		p.line("  ---\n  outcome: not_run\n  ...")
		return
	}
	p.line("  ---")
	p.line("  outcome: %s", step.Outcome)
	if step.Reason != "" {
		p.line("  reason: %s", quoted(string(step.Reason)))
	}
	if step.Detail != "" {
		p.line("  detail: %s", quoted(step.Detail))
	}
	p.line("  duration_ms: %.6f", step.Took.Seconds()*1000)
	p.line("  timeout_ms: %.6f", step.Timeout.Seconds()*1000)
	if step.Late != nil {
		p.line("  late_reply_ms: %.6f", step.Late.Took.Seconds()*1000)
	}
	if step.Retry != "" {
		p.line("  tries: %d\n  retry: %s\n  reconnects: %d\n  away_ms: %.6f", step.Tries, step.Retry, step.Reconnects, step.Away.Seconds()*1000)
	}
	if step.Address != "" {
		p.line("  address: %s", quoted(step.Address))
	}
	if step.Kept.Declared {
		p.line("  interval_ms: %.6f\n  interval_kept_ms: %.6f", step.Interval.Seconds()*1000, step.Kept.Duration.Seconds()*1000)
	}
	p.line("  ...")
}

func quoted(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(logging.Clean(text)) // strings can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

func bail(run record.Run) string {
	switch {
	case len(run.Steps) == 0:
		return "nothing was run"
	case run.Cut():
		return "the record ends before the run did"
	default:
		return strings.TrimSpace(string(run.Cause))
	}
}
