// Package sequence is the validator sequence, which requires steps in order. The README is its manual.
package sequence

import (
	"context"
	"fmt"
	"math"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Name is the validator's name in configs and logs.
const Name = "sequence"

// The values of after_bad_step, which says what step is expected after one out of order.
const (
	advance = "advance"
	resync  = "resync"
	hold    = "hold"
)

type sequence struct {
	ids          round
	afterBadStep string
}

// New makes the validator from its settings. It is a [validator.Factory]; the result is also a
// [validator.Expecter] and a [validator.Declarer].
func New(settings []byte) (validator.Validator, error) {
	s := struct {
		First        int64  `json:"first"`
		Last         int64  `json:"last"`
		AfterBadStep string `json:"after_bad_step"`
	}{First: 1, Last: 10, AfterBadStep: advance}
	if err := validator.DecodeSettings(settings, &s); err != nil {
		return nil, err
	}

	var problems validator.Problems
	if s.Last < s.First {
		problems.Add("last", "%d is below first, which is %d; set both", s.Last, s.First)
	}
	switch s.AfterBadStep {
	case advance, resync, hold:
	default:
		problems.Add("after_bad_step", "want %q, %q or %q, got %.64q", advance, resync, hold, s.AfterBadStep)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &sequence{ids: round{first: s.First, last: s.Last}, afterBadStep: s.AfterBadStep}, nil
}

// Validate passes the expected step and fails any other.
func (s *sequence) Validate(_ context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	want, err := s.expected(session)
	if err != nil {
		return validator.Verdict{}, err
	}
	if step.ID == want && s.ids.contains(want) {
		return validator.PassWith(s.stateAfter(session.Position, s.ids.after(want))), nil
	}
	next := s.afterBad(want, step.ID)
	return validator.FailWith(validator.OutOfOrder, s.detail(want, step.ID), s.stateAfter(session.Position, next)), nil
}

// Reads implements validator.Declarer.
func (s *sequence) Reads() validator.Inputs { return validator.InputPosition | validator.InputStepID }

// Expects returns the expected step; known is false if no step can be in order.
func (s *sequence) Expects(session validator.Session) (stepID int64, known bool) {
	want, err := s.expected(session)
	return want, err == nil && s.ids.contains(want)
}

// detail explains why got is out of order.
func (s *sequence) detail(want, got int64) string {
	switch {
	case !s.ids.contains(want):
		return fmt.Sprintf("step %d would come now, which is outside %d to %d, got %d", want, s.ids.first, s.ids.last, got)
	case !s.ids.contains(got):
		return fmt.Sprintf("step %d must come now, got %d, which is outside %d to %d", want, got, s.ids.first, s.ids.last)
	default:
		return fmt.Sprintf("step %d must come now, got %d", want, got)
	}
}

// afterBad returns the step expected after got came instead of want.
func (s *sequence) afterBad(want, got int64) int64 {
	switch {
	case s.afterBadStep == hold:
		return want
	case s.afterBadStep == resync && got < math.MaxInt64:
		return got + 1
	case s.afterBadStep == resync:
		return s.ids.first // got is the highest id
	default:
		return s.ids.after(want)
	}
}
