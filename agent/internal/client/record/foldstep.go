package record

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/protocol"
)

// startStep starts a step, if it may start now.
func (f *folder) startStep(index int) string {
	switch {
	case index == f.begun && (f.outage.open || index == f.reopened) && f.run.Steps[index-1].Outcome == NotRun:
		f.reopened = 0
		return "" // an earlier try has started it
	case index != f.begun+1:
		return fmt.Sprintf("step %d has its turn after step %d", index, f.begun)
	case f.broken:
		return fmt.Sprintf("step %d has its turn although the interval before it was not kept", index)
	case index > 1 && !f.run.Steps[index-2].Kept.Declared:
		// Only a settled step has an interval.
		return fmt.Sprintf("step %d has its turn before the interval of step %d", index, index-1)
	}
	f.begun, f.reopened = index, 0
	return ""
}

func (f *folder) sent(e *Event, step *StepResult) string {
	if e.Timeout != step.Timeout || e.Interval != step.Interval {
		return fmt.Sprintf("step %d is sent with another timeout or interval than the procedure has", e.Index)
	}
	if f.toResend(step) {
		return f.sentAgain(e, step)
	}
	if problem := f.startStep(e.Index); problem != "" {
		return problem
	}
	f.goesTo(e, step)
	f.recovered(e, step)
	step.Outcome, step.Req, step.SentAt, step.Tries = Unanswered, e.Req, e.At, 1
	return ""
}

// goesTo notes to which agent the request of a step is sent. A connection to another one is made anew.
func (f *folder) goesTo(e *Event, step *StepResult) {
	if e.Address != "" {
		f.run.Address, f.outage.cut = e.Address, true
	}
	if step.Address = f.run.Address; step.Address == f.run.Start.Address {
		step.Address = ""
	}
}

func (f *folder) unreachable(e *Event, step *StepResult) string {
	switch {
	case f.toResend(step):
		f.reopened = 0 // it could not be sent again
	case step.Outcome == Unanswered:
		f.refused = true
	default:
		if problem := f.startStep(e.Index); problem != "" {
			return problem
		}
	}
	f.unrecovered(e, step)
	step.Outcome, step.Reason, step.Detail = Unreachable, protocol.Unreachable, e.Detail
	return ""
}

// settle sets the outcome of a step.
func (f *folder) settle(e *Event, step *StepResult, outcome Outcome, reason protocol.Reason) string {
	switch {
	case step.Outcome != Unanswered:
		return fmt.Sprintf("%s, but step %d is %s", e.Kind, e.Index, step.Outcome)
	case e.Index == f.reopened:
		return fmt.Sprintf("%s, but step %d was not sent again after the run was resumed", e.Kind, e.Index)
	case f.outage.open && (e.Kind == KindWrong || e.Kind == KindReply && (e.Reply.OK() || !e.Reply.Reason.AgentsOwn())):
		// It can only time out, be lost, or keep the refusal of an earlier try.
		return fmt.Sprintf("%s, but step %d was not sent again", e.Kind, e.Index)
	}
	f.unrecovered(e, step)
	step.Outcome, step.Reason, step.Detail = outcome, reason, e.Detail
	step.Took, step.Reply = e.Took, e.Reply
	if outcome == TimedOut {
		step.Detail = fmt.Sprintf("no reply came within %s", step.Timeout)
	}
	return ""
}

// reply handles the reply to a step.
func (f *folder) reply(e *Event, step *StepResult) string {
	if problem := f.mismatch(e.Reply, step); problem != "" {
		return problem
	}
	if e.Took >= step.Timeout {
		return fmt.Sprintf("the reply to step %d took %s and its timeout is %s", e.Index, e.Took, step.Timeout)
	}
	if problem := f.settle(e, step, Passed, ""); problem != "" {
		return problem
	}
	if !e.Reply.OK() {
		step.Outcome, step.Reason, step.Detail = Failed, e.Reply.Reason, e.Reply.Detail
		if step.Reason == "" && step.Detail == "" {
			step.Detail = fmt.Sprintf("the agent sent error code %d and no reason", e.Reply.ErrorCode)
		}
	}
	return ""
}

// mismatch returns why a reply does not answer the step. A refusal may lack the step_id, which the
// agent may not have been able to read; a pass may not.
func (f *folder) mismatch(reply *protocol.Reply, step *StepResult) string {
	switch session := f.run.Start.Session; {
	case reply == nil:
		return "a reply that is not there"
	case !reply.Req.IsZero() && reply.Req != step.Req:
		return fmt.Sprintf("the reply is to req %s, step %d was sent as %s", reply.Req, step.Index, name(step.Req))
	case reply.Session != "" && session != "" && reply.Session != session:
		return fmt.Sprintf("the reply is to session %q", reply.Session)
	case reply.StepID == nil && reply.ErrorCode == 0:
		return "a reply with code 0 and no step_id"
	case reply.StepID != nil && *reply.StepID != step.StepID:
		return fmt.Sprintf("the reply is to step_id %d, the step at index %d is %d", *reply.StepID, step.Index, step.StepID)
	}
	return ""
}

func name(req protocol.ReqID) string {
	if req.IsZero() {
		return "none"
	}
	return req.String()
}

func (f *folder) late(e *Event, step *StepResult) string {
	switch {
	case step.Outcome != TimedOut:
		return fmt.Sprintf("a late reply to step %d, which is %s", e.Index, step.Outcome)
	case step.Late != nil:
		return fmt.Sprintf("a second late reply to step %d", e.Index)
	case e.Reply == nil:
		return "a late reply that is not there"
	case e.Took < step.Timeout:
		return fmt.Sprintf("a late reply to step %d within its timeout", e.Index)
	}
	step.Late = &LateReply{Reply: *e.Reply, Took: e.Took}
	return ""
}

func (f *folder) interval(e *Event, step *StepResult) string {
	switch {
	case e.Index != f.begun || !step.Outcome.decided() || f.refused:
		return fmt.Sprintf("an interval after step %d, which is not the last that was settled", e.Index)
	case e.Index == len(f.run.Steps):
		return "an interval after the last step"
	case step.Kept.Declared && (e.Index != f.reopened || !f.broken):
		return fmt.Sprintf("a second interval after step %d", e.Index)
	case e.Interval != step.Interval:
		return fmt.Sprintf("the interval of step %d is not that of the procedure", e.Index)
	}
	step.Kept = protocol.Seconds(e.Kept)
	f.broken, f.reopened = e.Kept < e.Interval, 0
	return ""
}
