package validator

import "strings"

// A Declarer is a Validator that says what it reads. Implementing it is optional.
//
// The agent sends a validator only the inputs that it declares, and for the same inputs it may
// answer with the verdict that it was given before: most steps then cost no call at all. Of a
// validator that is no Declarer every step is asked.
//
// Reads is asked once, after the settings have been taken, and always says the same. The
// declaration holds for Expects too.
type Declarer interface {
	Reads() Inputs
}

// Inputs is a set of the inputs of Validate. State is an input of every validator and in no set.
// An input that was not declared is absent: a number is 0, a Wait not declared, Data nil.
type Inputs uint16

// The inputs that a validator can declare.
const (
	// InputPosition is Session.Position.
	InputPosition Inputs = 1 << iota
	// InputSteps is Session.Steps.
	InputSteps
	// InputStepID is Step.ID.
	InputStepID
	// InputTimeout is Step.Timeout.
	InputTimeout
	// InputInterval is Step.Interval.
	InputInterval
	// InputAt is Step.At. No two steps have the same: a verdict for it is not used again.
	InputAt
	// InputGap is Step.Gap. As with InputAt, a verdict for it is not used again.
	InputGap
	// InputData is Step.Data.
	InputData

	// AllInputs is every input: what a validator that is no Declarer is sent.
	AllInputs Inputs = 1<<iota - 1
)

// inputNames are the names of the inputs, in the order of their values.
var inputNames = [...]string{"position", "steps", "step_id", "timeout", "interval", "at", "gap", "data"}

// Names returns the names of the inputs in the set, as they are written in logs.
func (in Inputs) Names() []string {
	var names []string
	for i, name := range inputNames {
		if in&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names, separated by commas; "nothing" for the empty set.
func (in Inputs) String() string {
	if in&AllInputs == 0 {
		return "nothing"
	}
	return strings.Join(in.Names(), ", ")
}

// Mask returns what a validator with this declaration is given: Session.State, and of the rest
// only what is in the set. Session.ID is never given.
func (in Inputs) Mask(session Session, step Step) (Session, Step) {
	s, st := Session{State: session.State}, Step{}
	if in&InputPosition != 0 {
		s.Position = session.Position
	}
	if in&InputSteps != 0 {
		s.Steps = session.Steps
	}
	if in&InputStepID != 0 {
		st.ID = step.ID
	}
	if in&InputTimeout != 0 {
		st.Timeout = step.Timeout
	}
	if in&InputInterval != 0 {
		st.Interval = step.Interval
	}
	if in&InputAt != 0 {
		st.At = step.At
	}
	if in&InputGap != 0 {
		st.Gap = step.Gap
	}
	if in&InputData != 0 {
		st.Data = step.Data
	}
	return s, st
}

// Declared returns what the validator declares to read; false, and AllInputs, for one that is no
// Declarer.
func Declared(v Validator) (Inputs, bool) {
	if d, ok := v.(Declarer); ok {
		return d.Reads() & AllInputs, true
	}
	return AllInputs, false
}
