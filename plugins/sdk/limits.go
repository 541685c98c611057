package sdk

import (
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// Limits of the process border. They hold in both directions.
const (
	// MaxMessageBytes is the longest gRPC message. A longer one ends the stream.
	MaxMessageBytes = 4 << 20
	// MaxInstances is the largest number of validators in one process. Their longest states and
	// details fit into one message.
	MaxInstances = 256
	// MaxBatchCalls is the largest number of steps or answers in one message.
	MaxBatchCalls = 512
	// MaxBatchBytes ends a batch: a message exceeds it by at most one step or answer.
	MaxBatchBytes = 1 << 20
	// MaxErrorBytes is the length of the longest error of an undecided verdict.
	MaxErrorBytes = 512
)

// fieldBytes is an upper bound for the numbers, tags and lengths in one message of the contract,
// without strings and bytes.
const fieldBytes = 128

// CallBytes returns an upper bound for the length of a call on the wire.
func CallBytes(c *validatorv1.StepCall) int {
	n := 3*fieldBytes + len(c.GetStep().GetData())
	for _, state := range c.GetStates() {
		n += 8 + len(state)
	}
	return n
}

// answerBytes returns an upper bound for the length of an answer on the wire.
func answerBytes(a *validatorv1.StepVerdicts) int {
	n := fieldBytes
	for _, v := range a.GetVerdicts() {
		n += 2*fieldBytes + len(v.GetReason()) + len(v.GetDetail()) + len(v.GetError()) + len(v.GetState())
	}
	return n
}
