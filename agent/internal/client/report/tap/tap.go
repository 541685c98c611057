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
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	line("TAP version 14")
	line("1..%d", len(run.Steps))
	line("# %s", report.Heading(run))
	for _, secured := range report.Security(run) {
		line("# %s", secured)
	}
	for _, step := range run.Steps {
		ok := "ok"
		if step.Outcome != record.Passed {
			ok = "not ok"
		}
		line("%s %d - step %d", ok, step.Index, step.StepID)
		diagnose(line, step)
	}
	for _, stray := range run.Strays {
		line("# %s", report.Line(stray, record.StepResult{}))
	}
	line("# %s", report.Sentence(run))
	if run.Verdict == record.Undecided {
		line("Bail out! %s", bail(run))
	}
	return out.Flush()
}

// diagnose writes the YAML block of a step. JSON strings are valid YAML.
func diagnose(line func(string, ...any), step record.StepResult) {
	if step.Outcome == record.NotRun {
		line("  ---\n  outcome: not_run\n  ...")
		return
	}
	line("  ---")
	line("  outcome: %s", step.Outcome)
	if step.Reason != "" {
		line("  reason: %s", quoted(string(step.Reason)))
	}
	if step.Detail != "" {
		line("  detail: %s", quoted(step.Detail))
	}
	line("  duration_ms: %.6f", step.Took.Seconds()*1000)
	line("  timeout_ms: %.6f", step.Timeout.Seconds()*1000)
	if step.Late != nil {
		line("  late_reply_ms: %.6f", step.Late.Took.Seconds()*1000)
	}
	if step.Retry != "" {
		line("  tries: %d\n  retry: %s\n  reconnects: %d\n  away_ms: %.6f", step.Tries, step.Retry, step.Reconnects, step.Away.Seconds()*1000)
	}
	if step.Kept.Declared {
		line("  interval_ms: %.6f\n  interval_kept_ms: %.6f", step.Interval.Seconds()*1000, step.Kept.Duration.Seconds()*1000)
	}
	line("  ...")
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
