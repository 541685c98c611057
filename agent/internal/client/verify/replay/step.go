package replay

import (
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A Step is an exchange and what the replay found of it.
type Step struct {
	*match.Exchange
	// Session is the id of its session, empty when it belongs to none; Slot is the session's
	// name, or its connection: sessions that follow one another share it. Position is the place
	// in the session, from 1.
	Session, Slot string
	Position      int
	// Judgement is what the validators say. Asked says that they were asked, Replayed that the
	// step was answered from the replay cache, Ends that it is the session's last.
	Judgement             judge.Judgement
	Asked, Replayed, Ends bool
	// Refusal is the reply that the sessions gave, without a validator where Asked is false.
	Refusal protocol.Reply
	// Skipped says that the agent is assumed not to have judged the step. Hidden are the steps
	// that it is assumed to have judged just before and that the capture lacks.
	Skipped bool
	Hidden  []int64

	expected judge.Expectation
}

// Contradicts says how the reply contradicts the validators; empty when it does not, or when
// there is nothing to compare.
func (s *Step) Contradicts() string {
	r := s.Reply()
	if r == nil || !s.Asked && !s.Replayed || r.Reason.AgentsOwn() {
		return ""
	}
	reason, said, passed := string(r.Reason), "NOK", r.OK()
	if r.ErrorCode == 0 {
		said = "OK"
	}
	now := "pass"
	switch s.Judgement.Outcome {
	case validator.Pass:
		if passed {
			return ""
		}
	case validator.Fail:
		now = "fail" + phrase.After(" ", string(s.Judgement.Reason))
		// Agents older than protocol 1 give no reason.
		if !passed && (reason == "" || reason == string(s.Judgement.Reason)) {
			return ""
		}
	default:
		return ""
	}
	return "the agent said " + said + phrase.After(" ", reason) + ", the validators say " + now + phrase.After(": ", s.Judgement.Detail)
}

// JudgedElsewhere reports whether the agent judged a step that these session rules refuse.
func (s *Step) JudgedElsewhere() bool {
	r := s.Reply()
	return r != nil && s.Bad == nil && !s.Asked && !s.Replayed && !r.Reason.AgentsOwn()
}

// EndsElsewhere reports whether the agent ended the session at another step than the replay.
// marks says that the agent marks the last step of a session.
func (s *Step) EndsElsewhere(marks bool) bool {
	r := s.Reply()
	if r == nil || !s.Asked || s.Replayed || r.Reason.AgentsOwn() {
		return false
	}
	return r.End != s.Ends && (r.End || marks)
}

// Explained reports whether the replay explains the reply.
func (s *Step) Explained(marks bool) bool {
	return s.Contradicts() == "" && !s.JudgedElsewhere() && !s.EndsElsewhere(marks)
}
