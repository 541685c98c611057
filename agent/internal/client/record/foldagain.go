package record

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// An outage is the time in which the step in progress cannot be sent, or was refused.
type outage struct {
	open  bool
	since time.Duration
	// cut says that the connection has to be made anew, idle that nothing but this is known: it was
	// lost between two steps, and connecting has not failed.
	cut, idle bool
}

// again handles a try of a step that got no verdict.
func (f *folder) again(e *Event, step *StepResult) string {
	if e.Again == nil {
		return "a step is tried again without a cause"
	}
	if problem := f.againFits(e, step); problem != "" {
		return problem
	}
	cause, o := e.Again.Cause, &f.outage
	if !o.open {
		*o = outage{open: true, since: e.At, idle: cause == RetryLost && (step.Outcome == NotRun || f.toResend(step))}
		if o.idle {
			// The connection stays lost while the agent is away, so this loss may have been counted in part.
			o.since = min(max(e.At-e.Took, f.awayUntil), e.At)
		}
	}
	o.cut = o.cut || cause == RetryLost || cause == RetryUnreachable || cause == RetryStopping
	o.idle = o.idle && cause == RetryLost
	if step.Retry == "" {
		step.Retry = cause
	}
	return ""
}

// againFits checks that a step can be tried again for the cause, and starts one that was not sent.
func (f *folder) againFits(e *Event, step *StepResult) string {
	cause := e.Again.Cause
	byReply := slices.Contains([]Retry{RetryBusy, RetryStopping, RetryValidator}, cause)
	switch {
	case !byReply && cause != RetryLost && cause != RetryUnreachable:
		return fmt.Sprintf("%q is no cause to try a step again", cause)
	case byReply != (e.Reply != nil):
		return fmt.Sprintf("step %d is tried again because of %q, which does not fit the reply", e.Index, cause)
	case byReply && e.Reply.Reason != protocol.Reason(cause):
		return fmt.Sprintf("step %d is tried again because of %q, but the reply says %q", e.Index, cause, e.Reply.Reason)
	case f.toResend(step) && byReply:
		return fmt.Sprintf("step %d is tried again because of %q, but it was not sent again after the run was resumed", e.Index, cause)
	case f.toResend(step):
		return ""
	case step.Outcome == Unanswered && step.Req.IsZero():
		return fmt.Sprintf("step %d is tried again, but has no req", e.Index)
	case step.Outcome == Unanswered && f.outage.open != (cause == RetryUnreachable):
		return fmt.Sprintf("step %d is tried again because of %q, which does not fit the try before", e.Index, cause)
	case step.Outcome == Unanswered && byReply:
		return f.mismatch(e.Reply, step)
	case step.Outcome == Unanswered:
		return ""
	case step.Outcome != NotRun || byReply:
		return fmt.Sprintf("step %d is tried again because of %q, but it is %s", e.Index, cause, step.Outcome)
	}
	return f.startStep(e.Index)
}

// resent handles a further sending of a step.
func (f *folder) resent(e *Event, step *StepResult) string {
	if step.Outcome != Unanswered || !f.outage.open || f.toResend(step) {
		return fmt.Sprintf("step %d is sent again, but it was not to be tried again", e.Index)
	}
	f.goesTo(e, step)
	before := step.Away
	f.recovered(e, step)
	step.AwayInTook += step.Away - before
	step.Tries++
	return ""
}

// recovered ends the outage, if there is one, because the request is being sent.
func (f *folder) recovered(e *Event, step *StepResult) {
	if f.outage.open && f.outage.cut {
		step.Reconnects++
	}
	f.unrecovered(e, step)
}

// unrecovered ends the outage, if there is one, with the step.
func (f *folder) unrecovered(e *Event, step *StepResult) {
	if f.outage.open && !f.outage.idle {
		step.Away += e.At - f.outage.since
		f.awayUntil = e.At
	}
	f.outage = outage{}
}
