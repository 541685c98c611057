package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

const ms = time.Millisecond

// asked is an event of the agent's about a request: how long it waited for its turn and in the
// validators' queue, when the verdict was there, and when the reply was written (0 for never).
func asked(req protocol.ReqID, turn, queue, took, judged, replied time.Duration) auditlog.StepEvent {
	s := auditlog.Step{Session: "s", Req: req, Turn: jsonl.Seconds(turn), Judged: jsonl.Seconds(judged), Generation: 3,
		Groups: []auditlog.Group{{Validators: []string{"a"}, Queue: jsonl.Seconds(queue), Took: jsonl.Seconds(took)},
			{Validators: []string{"b"}, Took: jsonl.Seconds(took / 2)}}}
	if replied > 0 {
		r := jsonl.Seconds(replied)
		s.Replied = &r
	}
	return auditlog.StepEvent{Step: s}
}

func joined(steps ...record.StepResult) record.Run {
	run := record.Run{Start: record.Start{Session: "s"}, Duration: 100 * ms}
	for i, s := range steps {
		s.Index = i + 1
		run.Steps = append(run.Steps, s)
	}
	return run
}

// The parts of a reply add up to what the client waited.
func TestJoin(t *testing.T) {
	ok := record.StepResult{Outcome: record.Passed, Req: protocol.TextReq("a-1"), Took: 10 * ms, Reply: &protocol.Reply{}, Kept: protocol.Seconds(30 * ms)}
	late := record.StepResult{Outcome: record.TimedOut, Req: protocol.NumReq(7), Took: 5 * ms, Late: &record.LateReply{Took: 20 * ms}}
	withheld := record.StepResult{Outcome: record.TimedOut, Req: protocol.TextReq("a-3"), Took: 5 * ms}
	unsent := record.StepResult{Outcome: record.Unreachable}
	delayed := asked(protocol.NumReq(7), 0, 0, 2*ms, 3*ms, 15*ms)
	delayed.Fault = "late"
	again := asked(protocol.TextReq("a-1"), 0, 0, 0, 0, 1*ms)
	again.Replayed = true
	split, err := report.Join(joined(ok, late, withheld, unsent), auditlog.SessionEvents{Opens: []auditlog.Open{{Agent: "1.2.0"}}, Dropped: 4,
		Steps: []auditlog.StepEvent{again, asked(protocol.TextReq("a-1"), 1*ms, 2*ms, 5*ms, 7*ms, 8*ms), delayed, asked(protocol.TextReq("a-3"), 0, 0, 2*ms, 3*ms, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []report.Part{
		{Waited: 10 * ms, Link: 2 * ms, Queue: 3 * ms, Validators: 3 * ms, Agent: 2 * ms},
		{Waited: 20 * ms, Link: 5 * ms, Validators: 2 * ms, Agent: 1 * ms, Fault: 12 * ms},
		{Validators: 2 * ms, Agent: 1 * ms},
		{},
	}
	for i, w := range want {
		v := split.Steps[i]
		if v.Part != w || v.Known != (i < 3) || v.Whole != (i < 2) {
			t.Errorf("step %d: %+v, want %+v", i+1, v, w)
		}
		if p := v.Part; v.Whole && p.Link+p.Queue+p.Validators+p.Agent+p.Fault != p.Waited {
			t.Errorf("step %d: the parts do not add up: %+v", i+1, p)
		}
	}
	if v := split.Steps[0]; v.Arrivals != 2 || v.Generation != 3 {
		t.Errorf("the first step is seen as %+v", v)
	}
	if split.Counted != 2 || split.Total.Waited != 30*ms || split.Intervals != 30*ms || split.Between != 50*ms {
		t.Errorf("the whole is %+v", split)
	}
	const sentence = "where the time of 2 replies went: link 7.00 ms, agent queue 3.00 ms, validators 5.00 ms, agent 3.00 ms, " +
		"injected delay 12.0 ms; the client waited 30.0 ms in intervals and spent 50.0 ms between steps; the agent's record lacks 4 events"
	if got := split.Sentence(); got != sentence {
		t.Errorf("got  %s\nwant %s", got, sentence)
	}
}

// A reply that the client has before the agent knows that it is written still adds up.
func TestJoinOfAReplyThatOvertakes(t *testing.T) {
	ok := record.StepResult{Outcome: record.Passed, Req: protocol.TextReq("a"), Took: 7 * ms, Reply: &protocol.Reply{}}
	split, err := report.Join(joined(ok), auditlog.SessionEvents{Steps: []auditlog.StepEvent{asked(protocol.TextReq("a"), 0, 1*ms, 4*ms, 5*ms, 8*ms)}})
	want := report.Part{Waited: 7 * ms, Queue: 1 * ms, Validators: 3 * ms, Agent: 3 * ms}
	if err != nil || split.Steps[0].Part != want {
		t.Errorf("%+v, error %v, want %+v", split.Steps[0].Part, err, want)
	}
}

// An agent's clock that runs faster than the client's makes no part negative.
func TestJoinWithClocksThatDiffer(t *testing.T) {
	ok := record.StepResult{Outcome: record.Passed, Req: protocol.TextReq("a"), Took: 5 * ms, Reply: &protocol.Reply{}}
	split, err := report.Join(joined(ok), auditlog.SessionEvents{Steps: []auditlog.StepEvent{asked(protocol.TextReq("a"), 3*ms, 9*ms, 8*ms, 7*ms, 6*ms)}})
	if p := split.Steps[0].Part; err != nil || min(p.Link, p.Queue, p.Validators, p.Agent, p.Fault) < 0 {
		t.Errorf("%+v, error %v", p, err)
	}
}

func TestJoinThatCannotBe(t *testing.T) {
	run := joined(record.StepResult{})
	if _, err := report.Join(run, auditlog.SessionEvents{}); err == nil || !strings.Contains(err.Error(), "no step of session s") {
		t.Errorf("error %v", err)
	}
	run.Start.Session = ""
	if _, err := report.Join(run, auditlog.SessionEvents{}); err == nil || !strings.Contains(err.Error(), "without --plain") {
		t.Errorf("error %v", err)
	}
}

// TestJoinAcrossARestart: the step that was refused before it was judged counts as it was judged, and the
// time without an agent is that within the run.
func TestJoinAcrossARestart(t *testing.T) {
	at := func(n int, e auditlog.StepEvent) auditlog.StepEvent {
		e.Arrived = time.Date(2026, 11, 22, 10, 0, n, 0, time.UTC)
		return e
	}
	second := func(n int) time.Time { return at(n, auditlog.StepEvent{}).Arrived }
	busy := asked(protocol.TextReq("a-2"), 0, 0, 0, 1*ms, 1*ms)
	busy.Reason, busy.ErrorCode = "busy", 1
	ok := record.StepResult{Outcome: record.Passed, Req: protocol.TextReq("a-1"), Took: 10 * ms, Reply: &protocol.Reply{}}
	later := ok
	later.Req = protocol.TextReq("a-2")
	split, err := report.Join(joined(ok, later), auditlog.SessionEvents{
		Steps: []auditlog.StepEvent{
			at(1, asked(protocol.TextReq("a-1"), 0, 0, 1*ms, 2*ms, 3*ms)), at(5, busy),
			at(9, asked(protocol.TextReq("a-2"), 0, 0, 1*ms, 2*ms, 3*ms)),
		},
		Absences: []auditlog.Absence{
			{Session: "s", From: time.Time{}, To: second(0)}, {Session: "other", From: second(2), To: second(4)},
			{Session: "s", From: second(2), To: second(4)}, {Session: "s", From: second(6), To: second(7)}, {Session: "s", From: second(20)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := split.Steps[1]; v.Reason != "" || v.Arrivals != 2 {
		t.Errorf("the second step is seen as %+v", v)
	}
	if split.Restarts != 2 || split.Away != 3*time.Second || !strings.Contains(split.Sentence(), "; the agent was away 2 times for 3.000 s") {
		t.Errorf("away %d times for %v: %s", split.Restarts, split.Away, split.Sentence())
	}
}

// The time in which the agent was away is no time of the network.
func TestJoinOfAStepThatWasTriedAgain(t *testing.T) {
	again := record.StepResult{Outcome: record.Passed, Req: protocol.TextReq("a"), Took: 1200 * ms, Away: 3 * time.Second, AwayInTook: 1100 * ms, Reply: &protocol.Reply{}}
	split, err := report.Join(joined(again), auditlog.SessionEvents{Steps: []auditlog.StepEvent{asked(protocol.TextReq("a"), 0, 1*ms, 4*ms, 5*ms, 8*ms)}})
	want := report.Part{Waited: 1200 * ms, Link: 92 * ms, Queue: 1 * ms, Validators: 3 * ms, Agent: 4 * ms, Away: 1100 * ms}
	if err != nil || split.Total != want {
		t.Errorf("%+v, error %v, want %+v", split.Total, err, want)
	}
	if got := split.Sentence(); !strings.Contains(got, ": link 92.0 ms, agent queue 1.00 ms, validators 3.00 ms, agent 4.00 ms, agent away 1.100 s; ") {
		t.Errorf("the sentence is %s", got)
	}
}

// A session of another owner with the same name and the same reqs does not count.
func TestJoinOfOneOwner(t *testing.T) {
	of := func(id, identity string, req string, judged time.Duration) auditlog.StepEvent {
		e := asked(protocol.TextReq(req), 0, 0, 0, judged, judged)
		e.Session, e.Identity = id, identity
		return e
	}
	passed := func(req string) record.StepResult {
		return record.StepResult{Outcome: record.Passed, Req: protocol.TextReq(req), Took: 10 * ms, Reply: &protocol.Reply{}}
	}
	run := joined(passed("a-1"), passed("a-2"), record.StepResult{Outcome: record.Unreachable})
	split, err := report.Join(run, auditlog.SessionEvents{Steps: []auditlog.StepEvent{
		of("s", "", "a-1", 9*ms), of("s", "", "b-1", 9*ms), of("s", "", "b-2", 9*ms), {},
		of("s·ada", "ada", "a-1", 1*ms), of("s·ada", "ada", "a-2", 2*ms),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if split.Identity != "ada" || split.Total.Agent != 3*ms || split.Counted != 2 || split.Steps[2].Known {
		t.Errorf("got %+v", split)
	}
	split.Identity = "<b>\x1b"
	if got := split.Sentence(); !strings.Contains(got, `; the agent identified the client as <b>\x1b`) {
		t.Errorf("the sentence is %s", got)
	}
}

// The summary has the parts of the time in "where", and those of each step in "agent".
func TestSummaryOfASplit(t *testing.T) {
	part := report.Part{Waited: 20 * time.Millisecond, Link: 300 * time.Nanosecond}
	run := record.Run{Steps: []record.StepResult{{Index: 1, Outcome: record.Passed}}}
	var out strings.Builder
	split := &report.Split{Steps: []report.View{{Part: part, Known: true, Arrivals: 1}}, Total: part, Counted: 1, Identity: "ada"}
	if err := report.Summary(&out, run, split); err != nil {
		t.Fatal(err)
	}
	type parts struct {
		Waited, Link float64
		Counted      int
		Arrivals     int
	}
	var got struct {
		Where struct {
			parts
			Identity string
		}
		Steps []struct{ Agent parts }
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if want := (parts{Waited: 0.02, Link: 3e-7, Counted: 1}); got.Where.parts != want || got.Where.Identity != "ada" {
		t.Errorf("where is %+v, want %+v", got.Where, want)
	}
	if want := (parts{Waited: 0.02, Link: 3e-7, Arrivals: 1}); got.Steps[0].Agent != want {
		t.Errorf("agent is %+v, want %+v", got.Steps[0].Agent, want)
	}
}
