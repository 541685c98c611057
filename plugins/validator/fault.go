package validator

import "time"

// A Fault is misbehaviour put in on purpose, to see how a client copes. It never changes
// the verdict, which is stored before the fault is carried out.
type Fault struct {
	Kind FaultKind
	// Delay is how long FaultDelay holds the reply back, how long after the declared
	// timeout FaultLate sends it, and how long FaultSplit waits between the two halves.
	Delay time.Duration
	// StepID is the step_id that FaultWrongID puts into the reply.
	StepID int64
	// Code is the error_code that FaultWrongCode puts into the reply.
	Code int
}

// FaultKind says what to do to the reply of a step.
type FaultKind uint8

// The kinds of faults. The zero value is none and is not valid in a verdict.
const (
	// FaultDelay sends the reply after Fault.Delay.
	FaultDelay FaultKind = iota + 1
	// FaultWithhold never sends the reply.
	FaultWithhold
	// FaultLate sends the reply Fault.Delay after the timeout that the step declared.
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

// FaultKinds maps each kind of fault to its name in configs and logs.
func FaultKinds() map[FaultKind]string {
	return map[FaultKind]string{
		FaultDelay: "delay", FaultWithhold: "withhold", FaultLate: "late", FaultReset: "reset",
		FaultDuplicate: "duplicate", FaultSplit: "split", FaultWrongID: "wrong_id",
		FaultWrongCode: "wrong_code",
	}
}

// String returns the fault's name as it is written in configs and logs.
func (k FaultKind) String() string {
	if name, ok := FaultKinds()[k]; ok {
		return name
	}
	return "none"
}
