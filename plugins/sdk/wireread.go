package sdk

import (
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The wire types of protobuf that the contract uses, as the low bits of a tag.
const (
	number = uint64(protowire.VarintType)
	chunk  = uint64(protowire.BytesType)
)

// parts are the fields of one message, one after the other.
type parts struct {
	rest  []byte
	tag   uint64 // the number of the field and its wire type
	n     uint64 // its value, where it is a number
	bytes []byte // its value, where it is a chunk: a part of the message
}

// next goes to the next field; false at the end of the message.
func (p *parts) next() (bool, error) {
	if len(p.rest) == 0 {
		return false, nil
	}
	num, typ, n := protowire.ConsumeTag(p.rest)
	if n < 0 || num > protowire.MaxValidNumber {
		return false, errMalformed
	}
	p.rest = p.rest[n:]
	p.tag = uint64(num)<<3 | uint64(typ)
	switch typ {
	case protowire.VarintType:
		p.n, n = protowire.ConsumeVarint(p.rest)
	case protowire.BytesType:
		p.bytes, n = protowire.ConsumeBytes(p.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, p.rest)
	}
	if n < 0 {
		return false, errMalformed
	}
	p.rest = p.rest[n:]
	return true, nil
}

// text returns the value of a field that is a text.
func (p *parts) text() (string, error) {
	if !utf8.Valid(p.bytes) {
		return "", errMalformed
	}
	return string(p.bytes), nil
}

// each calls do for every chunk with the tag in the message, which holds others too.
func each(message []byte, tag uint64, do func(chunk []byte) error) error {
	p := parts{rest: message}
	for {
		more, err := p.next()
		if !more || err != nil {
			return err
		}
		if p.tag == tag {
			if err := do(p.bytes); err != nil {
				return err
			}
		}
	}
}

// SplitCalls returns the calls of a JudgeRequest, each to be read with Call.Read. They are
// parts of the request.
func SplitCalls(request []byte, calls [][]byte) ([][]byte, error) {
	err := each(request, fieldCalls<<3|chunk, func(call []byte) error {
		if len(calls) == MaxBatchCalls {
			return errors.New("too many calls in one message")
		}
		calls = append(calls, call)
		return nil
	})
	return calls, err
}

// Read reads one call. The States and Step.Data are parts of message, and the slice of
// States is used again.
func (c *Call) Read(message []byte) error {
	*c = Call{States: c.States[:0]}
	p := parts{rest: message}
	for {
		more, err := p.next()
		if !more || err != nil {
			return err
		}
		switch p.tag {
		case fieldCallNumber<<3 | number:
			c.Number = p.n
		case fieldCallBudget<<3 | number:
			c.Budget = time.Duration(p.n)
		case fieldCallStates<<3 | chunk:
			c.States = append(c.States, p.bytes)
		case fieldCallSession<<3 | chunk:
			err = readSession(p.bytes, &c.Session)
		case fieldCallStep<<3 | chunk:
			err = readStep(p.bytes, &c.Step)
		}
		if err != nil {
			return err
		}
	}
}

func readSession(message []byte, s *validator.Session) error {
	p := parts{rest: message}
	for {
		more, err := p.next()
		if !more || err != nil {
			return err
		}
		switch p.tag {
		case fieldSessionID<<3 | chunk:
			s.ID, err = p.text()
		case fieldSessionPosition<<3 | number:
			s.Position = int(p.n)
		case fieldSessionSteps<<3 | number:
			s.Steps = int(p.n)
		}
		if err != nil {
			return err
		}
	}
}

func readStep(message []byte, s *validator.Step) error {
	p := parts{rest: message}
	for {
		more, err := p.next()
		if !more || err != nil {
			return err
		}
		switch p.tag {
		case fieldStepID<<3 | number:
			s.ID = int64(p.n)
		case fieldStepTimeout<<3 | number:
			s.Timeout = waitOf(p.n)
		case fieldStepInterval<<3 | number:
			s.Interval = waitOf(p.n)
		case fieldStepAt<<3 | number:
			s.At = time.Duration(p.n)
		case fieldStepGap<<3 | number:
			s.Gap = waitOf(p.n)
		case fieldStepData<<3 | chunk:
			s.Data = p.bytes
			if s.Data == nil {
				s.Data = []byte{}
			}
		}
	}
}

// ReadAnswers calls take for every answer of a JudgeResponse. The answers of the instances
// are good until take returns; they hold nothing of the response.
func ReadAnswers(response []byte, answers []Answer, take func(call uint64, answers []Answer) error) error {
	count := 0
	return each(response, fieldAnswers<<3|chunk, func(message []byte) error {
		if count++; count > MaxBatchCalls {
			return errors.New("too many answers in one message")
		}
		call := uint64(0)
		answers = answers[:0]
		p := parts{rest: message}
		for {
			more, err := p.next()
			if err != nil {
				return err
			}
			if !more {
				return take(call, answers)
			}
			switch p.tag {
			case fieldAnswerCall<<3 | number:
				call = p.n
			case fieldAnswerVerdicts<<3 | chunk:
				if len(answers) == MaxInstances {
					return errors.New("too many verdicts in one answer")
				}
				a, err := readVerdict(p.bytes)
				if err != nil {
					return err
				}
				answers = append(answers, a)
			}
		}
	})
}

// readVerdict reads the answer of one instance. A verdict that is not of the contract's form
// becomes an answer with an error, as with DecodeAnswer.
func readVerdict(message []byte) (Answer, error) {
	var (
		a       Answer
		outcome int32
		fault   *faultRead
		failure string
		p       = parts{rest: message}
	)
	for {
		more, err := p.next()
		if err != nil {
			return Answer{}, err
		}
		if !more {
			return a.checked(outcome, fault, failure), nil
		}
		switch p.tag {
		case fieldVerdictOutcome<<3 | number:
			outcome = int32(p.n)
		case fieldVerdictReason<<3 | chunk:
			var reason string
			reason, err = p.text()
			a.Verdict.Reason = validator.Reason(reason)
		case fieldVerdictDetail<<3 | chunk:
			a.Verdict.Detail, err = p.text()
		case fieldVerdictState<<3 | chunk:
			a.Verdict.State = append([]byte(nil), p.bytes...)
		case fieldVerdictError<<3 | chunk:
			failure, err = p.text()
		case fieldVerdictExpects<<3 | number:
			a.Expects, a.Known = int64(p.n), true
		case fieldVerdictFault<<3 | chunk:
			if fault == nil {
				fault = new(faultRead)
			}
			err = fault.read(p.bytes)
		}
		if err != nil {
			return Answer{}, err
		}
	}
}

// A faultRead is a fault as it came.
type faultRead struct {
	kind                int32
	delay, stepID, code int64
}

func (f *faultRead) read(message []byte) error {
	p := parts{rest: message}
	for {
		more, err := p.next()
		if !more || err != nil {
			return err
		}
		switch p.tag {
		case fieldFaultKind<<3 | number:
			f.kind = int32(p.n)
		case fieldFaultDelay<<3 | number:
			f.delay = int64(p.n)
		case fieldFaultStepID<<3 | number:
			f.stepID = int64(p.n)
		case fieldFaultCode<<3 | number:
			f.code = int64(p.n)
		}
	}
}
