package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/protocol"
)

// begun gives a run an address and a time of its start.
func begun(run record.Run, cause record.Cause, verdict record.Verdict, after time.Duration) record.Run {
	run.Cause, run.Verdict, run.Duration = cause, verdict, 2*time.Second
	run.Start.Address, run.Start.Time = "b:8080", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(after)
	return run
}

// The runs against boards of each result.
var (
	passed     = begun(finished(passes(1, 2)...), record.Finished, record.Pass, time.Second)
	failed     = begun(finished(passes(1)[0], fate{2, record.Failed, protocol.OutOfOrder, "", 1}), record.Finished, record.Fail, 0)
	unreached  = begun(finished(fate{1, record.Unreachable, protocol.Unreachable, "connection refused", 0}, fate{id: 2}), record.Lost, record.Fail, 4*time.Second)
	unfinished = begun(finished(passes(1)[0], fate{2, record.Unanswered, "", "", 0}), record.Interrupted, record.Undecided, 0)
	notRun     = begun(finished(fate{id: 1}, fate{id: 2}), record.Interrupted, record.Undecided, 0)
)

func TestBoardResult(t *testing.T) {
	insecure, late := unreached, failed
	insecure.Cause, late.Cause = record.Refused, record.Refused
	cut := passed
	cut.Cause, cut.Verdict = "", record.Undecided
	for _, test := range []struct {
		run  record.Run
		want report.BoardResult
		line string
	}{
		{passed, report.BoardPassed, "a: pass: all 2 steps were answered in order and in time"},
		{failed, report.BoardFailed, "a: fail: 1 of 2 steps passed; step 2 was refused: out_of_order"},
		{unreached, report.BoardUnreached, "a: no agent could be reached at b:8080; nothing was sent"},
		{insecure, report.BoardUnreached, "a: no secure connection to b:8080: 0 of 2 steps passed; step 1 was not sent: no connection; step 2 was not run"},
		{late, report.BoardFailed, "a: fail: no secure connection to b:8080: 1 of 2 steps passed; step 2 was refused: out_of_order"},
		{unfinished, report.BoardUnfinished, "a: interrupted: 1 of 2 steps passed; step 2 was sent, and interrupted before a reply came"},
		{cut, report.BoardUnfinished, "a: the record ends before the run did: 2 of 2 steps passed"},
		{notRun, report.BoardNotRun, "a: not run"},
		{record.Run{}, report.BoardNotRun, "a: not run"},
	} {
		b := report.Board{Name: "a", Run: test.run}
		if got := b.Result(); got != test.want {
			t.Errorf("%s: got the result %s, want %s", test.line, got, test.want)
		}
		if got := b.Line(); got != test.line {
			t.Errorf("got  %s\nwant %s", got, test.line)
		}
		b.Run.Steps = nil
		if got := b.Result(); got != test.want {
			t.Errorf("%s: without its steps the result is %s, want %s", test.line, got, test.want)
		}
	}
	if line := (report.Board{Name: "a\nb\x1b"}).Line(); strings.ContainsAny(line, "\n\x1b") {
		t.Errorf("a hostile name gave %q", line)
	}
	if n := len(report.BoardResults()); n != int(report.BoardUnfinished)+1 {
		t.Errorf("%d results are listed", n)
	}
}

// all returns boards with the names and runs.
func all(names string, runs ...record.Run) []report.Board {
	var boards []report.Board
	for i, run := range runs {
		boards = append(boards, report.Board{Name: names[i : i+1], Address: "b:8080", Run: run})
	}
	return boards
}

func TestSentenceAll(t *testing.T) {
	for want, boards := range map[string][]report.Board{
		"nothing was run":                                                                                nil,
		"pass: the only board passed":                                                                    all("a", passed),
		"pass: all 2 boards passed":                                                                      all("ab", passed, passed),
		"fail: 1 of 3 boards failed (b), 1 was not reached (c)":                                          all("abc", passed, failed, unreached),
		"fail: 2 of 3 boards failed (a, c)":                                                              all("abc", failed, passed, failed),
		"fail: 2 of 3 boards were not reached (b, c)":                                                    all("abc", passed, unreached, unreached),
		"fail: none of 2 boards was reached (a, b)":                                                      all("ab", unreached, unreached),
		"fail: 1 of 1 board was not reached (a)":                                                         all("a", unreached),
		"no verdict: 2 of 3 boards did not finish (a, b)":                                                all("abc", unfinished, unfinished, passed),
		"no verdict: 1 of 2 boards did not finish (a), 1 was not run (b)":                                all("ab", unfinished, notRun),
		"no verdict: 2 of 3 boards were not run (b, c)":                                                  all("abc", passed, notRun, notRun),
		"fail: 1 of 4 boards failed (a), 1 was not reached (b), 1 did not finish (c), 1 was not run (d)": all("abcd", failed, unreached, unfinished, notRun),
		"fail: 8 of 8 boards failed (a, b, c, d, e, f and 2 more)":                                       all("abcdefgh", slices.Repeat([]record.Run{failed}, 8)...),
	} {
		if got := report.SentenceAll(boards); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestTally(t *testing.T) {
	var tally report.Tally
	if tally.Verdict() != record.Undecided || !tally.Started().IsZero() || tally.Duration() != 0 {
		t.Errorf("no boards have %s, %s, %s", tally.Verdict(), tally.Started(), tally.Duration())
	}
	for _, b := range all("abc", passed, notRun, unreached) {
		tally.Add(b)
	}
	if tally.Total() != 3 || tally.Count(report.BoardPassed) != 1 || tally.Verdict() != record.Fail {
		t.Errorf("%d boards, %d passed, %s", tally.Total(), tally.Count(report.BoardPassed), tally.Verdict())
	}
	// From 1 s, when the first was begun, to 4 s and the duration of the last.
	if start := passed.Start.Time; !tally.Started().Equal(start) || tally.Duration() != 5*time.Second {
		t.Errorf("started %s, took %s", tally.Started(), tally.Duration())
	}
}

func TestSummaryAll(t *testing.T) {
	boards := all("abc", passed, failed, record.Run{})
	var b bytes.Buffer
	if err := report.SummaryAll(&b, slices.Values(boards)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !strings.HasPrefix(text, "{\n  \"boards\": [\n    {\n      \"board\": \"a\",\n      \"result\": \"passed\",\n      \"verdict\": \"pass\",\n") ||
		!strings.HasSuffix(text, "}\n") {
		t.Errorf("the summary is\n%s", text)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	list := got["boards"].([]any)
	for i, board := range boards {
		var one bytes.Buffer
		if err := report.Summary(&one, board.Run, nil); err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(one.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		want["board"], want["result"], want["address"] = board.Name, board.Result().String(), "b:8080"
		if diff := cmp.Diff(want, list[i]); diff != "" {
			t.Errorf("board %s (-want +got):\n%s", board.Name, diff)
		}
	}
	delete(got, "boards")
	want := map[string]any{
		"verdict": "fail", "sentence": report.SentenceAll(boards), "counts": map[string]any{"passed": 1.0, "failed": 1.0, "not_run": 1.0},
		"started": "2026-11-22T10:00:00Z", "duration": 3.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	b.Reset()
	if err := report.SummaryAll(&b, slices.Values([]report.Board(nil))); err != nil || !json.Valid(b.Bytes()) {
		t.Errorf("no boards: %v, %s", err, &b)
	}
}

// A writer that fails ends the reading of the boards.
func TestSummaryAllOfAFailingWriter(t *testing.T) {
	many, read := slices.Repeat(all("a", passed), 10000), 0
	full := errors.New("full")
	err := report.SummaryAll(failing{full}, func(yield func(report.Board) bool) {
		for _, b := range many {
			if read++; !yield(b) {
				return
			}
		}
	})
	if !errors.Is(err, full) || read == len(many) {
		t.Errorf("error %v after %d boards", err, read)
	}
}

// failing is a writer that always fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
