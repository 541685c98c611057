package sdk

import (
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// Limits of the process border. They hold in both directions.
const (
	// MaxMessageBytes is the longest gRPC message. A longer one ends the stream.
	MaxMessageBytes = 4 << 20
	// MaxInstances is the largest number of validators in one process. So many states and
	// details, each of its own greatest length, still fit into a message.
	MaxInstances = 256
	// MaxBatchCalls is the largest number of steps in one message, and of the answers that this
	// package puts into one.
	MaxBatchCalls = 512
	// MaxBatchBytes ends a batch: a message grows up to here and by one step, or one answer,
	// more.
	MaxBatchBytes = 1 << 20
	// MaxErrorBytes is the longest text that says why a verdict is undecided.
	MaxErrorBytes = 512
)

// fieldBytes is more than what the numbers, tags and lengths of any one message of the
// contract take, strings and bytes left aside.
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
