package validator

import "time"

// A Fault is deliberate misbehaviour, to test clients. It does not change the verdict, which the agent
// stores before it carries out the fault.
type Fault struct {
	Kind FaultKind
	// Delay is the delay of FaultDelay, the time after the declared timeout of FaultLate, and the
	// time between the segments of FaultSplit.
	Delay time.Duration
	// StepID is the step_id in the reply of FaultWrongID.
	StepID int64
	// Code is the error_code in the reply of FaultWrongCode.
	Code int
}

// FaultKind is a kind of misbehaviour.
type FaultKind uint8

// The kinds of faults. The zero value is not valid in a verdict.
const (
	// FaultDelay sends the reply after Fault.Delay.
	FaultDelay FaultKind = iota + 1
	// FaultWithhold never sends the reply.
	FaultWithhold
	// FaultLate sends the reply Fault.Delay after the declared timeout of the step.
	FaultLate
	// FaultReset resets the connection (TCP RST) instead of replying.
	FaultReset
	// FaultDuplicate sends the reply twice.
	FaultDuplicate
	// FaultSplit sends the reply in two segments, Fault.Delay apart.
	FaultSplit
	// FaultWrongID sends the reply with another step_id.
	FaultWrongID
	// FaultWrongCode sends the reply with another error_code.
	FaultWrongCode
)

// FaultKinds returns the name of each kind of fault in configs and logs.
func FaultKinds() map[FaultKind]string {
	return map[FaultKind]string{
		FaultDelay: "delay", FaultWithhold: "withhold", FaultLate: "late", FaultReset: "reset",
		FaultDuplicate: "duplicate", FaultSplit: "split", FaultWrongID: "wrong_id",
		FaultWrongCode: "wrong_code",
	}
}

// String returns the name of the kind in configs and logs.
func (k FaultKind) String() string {
	if name, ok := FaultKinds()[k]; ok {
		return name
	}
	return "none"
}
