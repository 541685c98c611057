package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// A lockedBuilder is a strings.Builder for several goroutines.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was written since the last time.
func (l *lockedBuilder) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuilder
		style := report.Style{Width: 60}
		view := newProgress(&out, func() report.Style { return style }, true)
		status := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := out.take(); !strings.HasSuffix(got, "\r"+want+"\x1b[K") {
				t.Errorf("the terminal got %q, want %q last", got[max(0, len(got)-150):], want)
			}
		}
		passed := record.StepResult{Step: record.Step{StepID: 1}, Outcome: record.Passed}
		failed := record.StepResult{Step: record.Step{StepID: 2}, Outcome: record.TimedOut, Detail: "no reply"}

		view.event(record.Event{Kind: record.KindStart, Start: &record.Start{
			Procedure: record.Procedure{Steps: make([]record.Step, 2)}}}, record.StepResult{})
		status("step 1 of 2: connecting")
		view.event(record.Event{Kind: record.KindSent, Index: 1, Timeout: 5 * time.Second}, record.StepResult{})
		status("step 1 of 2: waiting for the reply, 5.0 s left")
		time.Sleep(1800 * time.Millisecond)
		status("step 1 of 2: waiting for the reply, 3.2 s left")
		view.event(record.Event{Kind: record.KindReply, Index: 1, StepID: 1}, passed)
		if got := out.take(); strings.Contains(got, "\n") {
			t.Errorf("a step that passed has a line of its own: %q", got)
		}
		view.interval(90 * time.Second)
		status("step 1 of 2: keeping the interval, 1m30s left")
		time.Sleep(89 * time.Second)
		status("step 1 of 2: keeping the interval, 1.0 s left")
		view.event(record.Event{Kind: record.KindInterval, Index: 1}, record.StepResult{})
		status("step 2 of 2: connecting")
		view.event(record.Event{Kind: record.KindSent, Index: 2, Timeout: time.Second}, record.StepResult{})
		time.Sleep(time.Minute)
		status("step 2 of 2: waiting for the reply, 0.0 s left")
		view.event(record.Event{Kind: record.KindTimeout, Index: 2, StepID: 2}, failed)
		if got := out.take(); !strings.HasPrefix(got, "\r\x1b[Kstep 2: timeout: no reply\n\rstep 2 of 2: ") {
			t.Errorf("a step that failed is shown as %q", got)
		}

		// What goes to stderr meanwhile finds the line empty, and the status comes again.
		view.suspend(func() { _, _ = out.Write([]byte("a log line\n")) })
		if got := out.take(); !strings.HasPrefix(got, "\r\x1b[Ka log line\n\rstep 2 of 2: ") {
			t.Errorf("a log line came out as %q", got)
		}
		// A narrow terminal never has two lines of it.
		style.Width = 20
		view.suspend(func() {})
		status("step 2 of 2: waitin")

		view.result(record.Run{Cause: record.Finished, Steps: []record.StepResult{passed, failed}, Verdict: record.Fail})
		if got := out.take(); !strings.HasPrefix(got, "\r\x1b[Kstep  verdict") || !strings.HasSuffix(got, " in time\n") {
			t.Errorf("the result came out as %q", got)
		}
		time.Sleep(time.Second)
		if got := out.take(); got != "" {
			t.Errorf("%q was written after the result", got)
		}
	})
}

func TestCountdown(t *testing.T) {
	for want, left := range map[string]time.Duration{
		"0.0 s": -time.Second, "0.1 s": 60 * time.Millisecond, "59.9 s": 59900 * time.Millisecond,
		"1m0s": time.Minute, "1h1m1s": time.Hour + 61*time.Second,
	} {
		if got := countdown(left); got != want {
			t.Errorf("countdown(%v) = %q, want %q", left, got, want)
		}
	}
}
