package sdk

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The messages JudgeRequest and JudgeResponse in the form in which they go over the data path:
// that of protobuf, written and read by hand, since at this place the generated code takes
// more time than everything else that happens to a step. What is read here is what the
// generated code reads; a fuzz target holds the one to the other.

// The numbers of the fields in validator.proto.
const (
	fieldCalls, fieldAnswers = 1, 1

	fieldCallNumber, fieldCallSession, fieldCallStates, fieldCallStep, fieldCallBudget = 1, 2, 3, 4, 5

	fieldSessionID, fieldSessionPosition, fieldSessionSteps = 1, 2, 3

	fieldStepID, fieldStepTimeout, fieldStepInterval, fieldStepAt, fieldStepGap, fieldStepData = 1, 2, 3, 4, 5, 6

	fieldAnswerCall, fieldAnswerVerdicts = 1, 2

	fieldVerdictOutcome, fieldVerdictReason, fieldVerdictDetail, fieldVerdictState = 1, 2, 3, 4
	fieldVerdictFault, fieldVerdictError, fieldVerdictExpects                      = 5, 6, 7

	fieldFaultKind, fieldFaultDelay, fieldFaultStepID, fieldFaultCode = 1, 2, 3, 4
)

// errMalformed is the error of bytes that are no message of the contract.
var errMalformed = errors.New("malformed message")

// A Call is one step on its way to a plugin.
type Call struct {
	// Number names the call; the answer repeats it.
	Number uint64
	// Budget is how long the agent waits for the verdicts.
	Budget time.Duration
	// Session is without State: each instance has its own among the States.
	Session validator.Session
	States  [][]byte
	Step    validator.Step
}

// AppendCall appends a call as a part of a JudgeRequest. Parts that follow one another are the
// request of all the calls.
func AppendCall(dst []byte, c *Call) []byte {
	dst, call := open(dst, fieldCalls)
	dst = appendNumber(dst, fieldCallNumber, c.Number)
	dst, session := open(dst, fieldCallSession)
	id := c.Session.ID
	if !utf8.ValidString(id) {
		id = strings.ToValidUTF8(id, "?")
	}
	dst = appendText(dst, fieldSessionID, id)
	dst = appendNumber(dst, fieldSessionPosition, uint64(c.Session.Position))
	dst = appendNumber(dst, fieldSessionSteps, uint64(c.Session.Steps))
	dst = end(dst, session)
	for _, state := range c.States {
		dst = appendChunk(dst, fieldCallStates, state)
	}
	dst, step := open(dst, fieldCallStep)
	dst = appendNumber(dst, fieldStepID, uint64(c.Step.ID))
	dst = appendWait(dst, fieldStepTimeout, c.Step.Timeout)
	dst = appendWait(dst, fieldStepInterval, c.Step.Interval)
	dst = appendNumber(dst, fieldStepAt, uint64(c.Step.At))
	dst = appendWait(dst, fieldStepGap, c.Step.Gap)
	if c.Step.Data != nil {
		dst = appendChunk(dst, fieldStepData, c.Step.Data)
	}
	dst = end(dst, step)
	dst = appendNumber(dst, fieldCallBudget, uint64(c.Budget))
	return end(dst, call)
}

// AppendAnswer appends the answers of all instances to a call as a part of a JudgeResponse.
func AppendAnswer(dst []byte, call uint64, answers []Answer) []byte {
	dst, answer := open(dst, fieldAnswers)
	dst = appendNumber(dst, fieldAnswerCall, call)
	for i := range answers {
		var verdict int
		dst, verdict = open(dst, fieldAnswerVerdicts)
		dst = appendVerdict(dst, &answers[i])
		dst = end(dst, verdict)
	}
	return end(dst, answer)
}

func appendVerdict(dst []byte, a *Answer) []byte {
	if a.Err != nil {
		return appendText(dst, fieldVerdictError, errorText(a.Err))
	}
	v := &a.Verdict
	dst = appendNumber(dst, fieldVerdictOutcome, uint64(v.Outcome))
	dst = appendText(dst, fieldVerdictReason, string(v.Reason))
	dst = appendText(dst, fieldVerdictDetail, v.Detail)
	if len(v.State) > 0 {
		dst = appendChunk(dst, fieldVerdictState, v.State)
	}
	if f := v.Fault; f != nil {
		var fault int
		dst, fault = open(dst, fieldVerdictFault)
		dst = appendNumber(dst, fieldFaultKind, uint64(f.Kind))
		dst = appendNumber(dst, fieldFaultDelay, uint64(f.Delay))
		dst = appendNumber(dst, fieldFaultStepID, uint64(f.StepID))
		dst = appendNumber(dst, fieldFaultCode, uint64(f.Code))
		dst = end(dst, fault)
	}
	if a.Known {
		dst = binary.AppendUvarint(append(dst, fieldVerdictExpects<<3|number), uint64(a.Expects))
	}
	return dst
}

// The tags that are written take one byte: no field of the contract has a number above 15.

// open begins a message within a message; end ends it. What end gets is where it begins.
func open(dst []byte, field byte) ([]byte, int) {
	dst = append(dst, field<<3|chunk, 0) // the length: one byte as a rule
	return dst, len(dst)
}

func end(dst []byte, from int) []byte {
	n := len(dst) - from
	if n < 1<<7 {
		dst[from-1] = byte(n)
		return dst
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	dst = append(dst, make([]byte, more)...)
	copy(dst[from+more:], dst[from:from+n])
	binary.AppendUvarint(dst[:from-1], uint64(n))
	return dst
}

// appendNumber appends a number that is absent where it is 0.
func appendNumber(dst []byte, field byte, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return binary.AppendUvarint(append(dst, field<<3|number), n)
}

// appendText appends a text that is absent where it is empty.
func appendText(dst []byte, field byte, text string) []byte {
	if text == "" {
		return dst
	}
	return append(binary.AppendUvarint(append(dst, field<<3|chunk), uint64(len(text))), text...)
}

func appendChunk(dst []byte, field byte, value []byte) []byte {
	return append(binary.AppendUvarint(append(dst, field<<3|chunk), uint64(len(value))), value...)
}

func appendWait(dst []byte, field byte, w validator.Wait) []byte {
	if !w.Declared {
		return dst
	}
	return binary.AppendUvarint(append(dst, field<<3|number), uint64(w.Duration))
}

// waitOf is the Wait of a field that is there.
func waitOf(ns uint64) validator.Wait {
	return validator.Wait{Duration: time.Duration(max(int64(ns), 0)), Declared: true}
}
