package validator

import "strings"

// A Declarer is a Validator that declares its inputs. Implementing it is optional.
//
// The agent sends a Declarer only the declared inputs, and may reuse its verdict for equal inputs: most
// steps then need no call. Other validators are called at every step.
//
// Reads is called once, after the validator is made from its settings, and must always return the same
// set. The declaration applies to Expects too.
type Declarer interface {
	Reads() Inputs
}

// Inputs is a set of inputs of Validate. State is an input of every validator and is in no set. An input
// that is not declared is absent: a number is 0, a Wait is not declared, Data is nil.
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
	// InputAt is Step.At. It differs at every step, so that verdicts are not reused.
	InputAt
	// InputGap is Step.Gap. As with InputAt, verdicts are not reused.
	InputGap
	// InputData is Step.Data.
	InputData

	// AllInputs is every input, which a validator that is no Declarer gets.
	AllInputs Inputs = 1<<iota - 1
)

// inputNames holds the names of the inputs, in the order of their values.
var inputNames = [...]string{"position", "steps", "step_id", "timeout", "interval", "at", "gap", "data"}

// Names returns the names of the inputs in the set, as in logs.
func (in Inputs) Names() []string {
	var names []string
	for i, name := range inputNames {
		if in&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names separated by commas, or "nothing" for the empty set.
func (in Inputs) String() string {
	if in&AllInputs == 0 {
		return "nothing"
	}
	return strings.Join(in.Names(), ", ")
}

// Mask returns the inputs of a validator with this declaration: Session.State, and the inputs in the
// set. Session.ID is removed.
func (in Inputs) Mask(session Session, step Step) (Session, Step) {
	return Session{
			State:    session.State,
			Position: masked(in, InputPosition, session.Position),
			Steps:    masked(in, InputSteps, session.Steps),
		}, Step{
			ID:       masked(in, InputStepID, step.ID),
			Timeout:  masked(in, InputTimeout, step.Timeout),
			Interval: masked(in, InputInterval, step.Interval),
			At:       masked(in, InputAt, step.At),
			Gap:      masked(in, InputGap, step.Gap),
			Data:     masked(in, InputData, step.Data),
		}
}

// masked returns the value of an input that is in the set, or the zero value.
func masked[T any](in, input Inputs, value T) (_ T) {
	if in&input == 0 {
		return
	}
	return value
}

// Declared returns the declared inputs of a validator, or AllInputs and false if it is no Declarer.
func Declared(v Validator) (Inputs, bool) {
	if d, ok := v.(Declarer); ok {
		return d.Reads() & AllInputs, true
	}
	return AllInputs, false
}
