package verify_test

import (
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/protocol"
)

// notSent returns a record in which a step that passed was not sent, for want of a connection.
func notSent(log record.Log, index int) record.Log {
	log.Events = slices.DeleteFunc(log.Events, func(e record.Event) bool { return e.Kind == record.KindReply && e.Index == index })
	for i := range log.Events {
		switch e := &log.Events[i]; {
		case e.Kind == record.KindSent && e.Index == index:
			*e = record.Event{Kind: record.KindUnreachable, At: e.At, Index: index, StepID: e.StepID, Detail: "connection refused"}
		case e.Kind == record.KindEnd:
			e.End.Counts[record.Passed]--
			e.End.Counts[record.Unreachable]++
		}
	}
	return log
}

// With the record, a procedure whose last step was not sent is complete.
func TestProcedureWhoseLastStepWasNotSent(t *testing.T) {
	all, sent := scene{session: "bench-7", acts: success()[:3]}, scene{session: "bench-7", acts: success()[:2]}
	all.perform()
	log := notSent(all.story(t, 0), 3)
	packets := sent.perform()
	opts := rules(t)
	opts.Procedure = procedure(t, `{"step_id":1,"timeout":5,"interval":0.5},{"step_id":2,"timeout":5,"interval":0.5},{"step_id":3,"timeout":5,"interval":0.5}`)
	log.Events[0].Start.Procedure.SHA256 = opts.Procedure.SHA256
	expect(t, judge(t, packets, opts), result.Inconclusive, "steps.json has 3 steps, and the last run shown has 2")
	opts.Record = &log
	expect(t, judge(t, packets, opts), result.Pass)
	expect(t, judge(t, all.talks[0].Packets(), opts), result.Fail, "sends step 3, and the record does not")
}

// The record of a run that went on after a step that was not sent agrees with its capture, which has all steps of
// the procedure that were sent.
func TestRecordOfAStepNotSent(t *testing.T) {
	acts := success()[:5]
	acts[4].reason = protocol.OutOfOrder
	all := scene{session: "bench-7", acts: acts, apart: true}
	everything := all.perform()
	log := notSent(all.story(t, 0), 4)
	sent := scene{session: "bench-7", acts: slices.Delete(slices.Clone(acts), 3, 4), apart: true}
	sent.acts[2].kept = 2*acts[2].interval + ms
	packets := sent.perform()
	for i := range log.Events {
		switch e := &log.Events[i]; { // it is the fourth request
		case e.Index == 5 && e.Kind == record.KindSent:
			e.Req = protocol.NumReq(4)
		case e.Index == 5 && e.Kind == record.KindReply:
			e.Reply.Req = protocol.NumReq(4)
		}
	}
	opts := rules(t)
	opts.Session.Steps, opts.Record = 4, &log
	r := judge(t, packets, opts)
	expect(t, r, result.Pass, "by the record, there was no connection for the next step at first: 1.001 s passed until a step was sent")
	if r.Record.Verdict != result.Pass {
		t.Errorf("the record is %s:\n%s", r.Record.Verdict, text(t, r))
	}
	opts.Procedure = procedure(t, `{"step_id":1,"timeout":5,"interval":0.5},{"step_id":2,"timeout":5,"interval":0.5},`+
		`{"step_id":3,"timeout":5,"interval":0.5},{"step_id":4,"timeout":5,"interval":0.5},{"step_id":5,"timeout":5,"interval":0.5}`)
	log.Events[0].Start.Procedure.SHA256 = opts.Procedure.SHA256
	expect(t, judge(t, packets, opts), result.Pass)
	opts.Record = nil
	expect(t, judge(t, packets, opts), result.Inconclusive, "steps of steps.json are not in the capture, before others that are")
	opts.Record = &log
	if r := judge(t, everything, opts); r.Record.Verdict != result.Fail {
		t.Errorf("with the packets of the step the record is %s:\n%s", r.Record.Verdict, text(t, r))
	}
}
