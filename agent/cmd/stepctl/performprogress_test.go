package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// events are those of a run of three steps.
var (
	started = record.Event{Kind: record.KindStart, Start: &record.Start{Procedure: record.Procedure{Steps: make([]record.Step, 3)}}}
	sent    = record.Event{Kind: record.KindSent, Index: 1, Timeout: 5 * time.Second}
	failed  = record.Event{Kind: record.KindTimeout, Index: 1, StepID: 1}
)

func TestBoardsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuilder
		all, height := "", new(atomic.Int64)
		height.Store(24)
		list := []boards.Board{{Name: "a"}, {Name: "시험대"}, {Name: "c"}}
		view := newBoardsProgress(&out, list, func() (int, int) { return 60, int(height.Load()) }, true)
		shows := func(want ...string) {
			t.Helper()
			time.Sleep(redrawEvery)
			synctest.Wait()
			all += out.take()
			if got := screen(all); got != strings.Join(want, "\n")+"\n" {
				t.Errorf("the terminal shows\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		}
		shows("a: waiting", "시험대: waiting", "c: waiting")
		b := view.of(1)
		b.event(started, record.StepResult{})
		shows("a: waiting", "시험대: step 1 of 3: connecting", "c: waiting")
		b.event(sent, record.StepResult{})
		shows("a: waiting", "시험대: step 1 of 3: waiting for the reply, 4.9 s left", "c: waiting")

		// A failure and a line on stderr stay above the boards.
		b.event(failed, record.StepResult{Step: record.Step{StepID: 1}, Outcome: record.TimedOut, Detail: "no reply"})
		view.suspend(func() { _, _ = out.Write([]byte("a log line\n")) })
		b.interval(time.Minute)
		above := []string{"시험대: step 1: timeout: no reply", "a log line"}
		shows(append(above, "a: waiting", "시험대: step 1 of 3: keeping the interval, 59.9 s left; 1 fail", "c: waiting")...)

		// A terminal with too few rows shows what is in progress, and counts.
		height.Store(3)
		view.of(2).event(started, record.StepResult{})
		view.of(0).result(record.Run{Cause: record.Lost, Verdict: record.Fail, Start: record.Start{Address: "a:1"}})
		shows(append(above, "시험대: step 1 of 3: keeping the interval, 59.8 s left; 1 fail", "1 of 3 boards ended, 1 without a pass; 2 in progress, 0 wai")...)
		height.Store(24)
		shows(append(above, "a: no agent could be reached at a:1; nothing was sent", "시험대: step 1 of 3: keeping the interval, 59.7 s left; 1 fail", "c: step 1 of 3: connecting")...)

		view.end()
		all += out.take()
		if got := screen(all); got != strings.Join(above, "\n")+"\n" {
			t.Errorf("in the end the terminal shows\n%s", got)
		}
		time.Sleep(time.Second)
		if got := out.take(); got != "" {
			t.Errorf("%q was written after the end", got)
		}
	})
}

// Hundreds of boards fit on any terminal, and an unknown size shows all.
func TestBoardsProgressFits(t *testing.T) {
	t.Parallel()
	view := &boardsProgress{boards: make([]boardProgress, 200)}
	for i := range view.boards {
		b := &view.boards[i]
		*b = boardProgress{all: view, name: fmt.Sprintf("b%d", i), ended: i < 20, passed: i < 15}
		if i < 150 {
			b.status.event(started, record.StepResult{})
		}
	}
	for rows := -1; rows < 300; rows++ {
		lines := view.lines(time.Now(), rows)
		if want := min(rows, 200, 131); rows > 0 && rows < 200 && len(lines) != want || (rows < 1 || rows >= 200) && len(lines) != 200 {
			t.Fatalf("%d rows have %d lines", rows, len(lines))
		}
		if last := lines[len(lines)-1]; rows > 0 && rows < 200 && last != "20 of 200 boards ended, 5 without a pass; 130 in progress, 50 waiting" {
			t.Fatalf("%d rows end with %s", rows, last)
		}
	}
}
