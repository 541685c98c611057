package sdk

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The wire types of protobuf that the contract uses, as the low bits of a tag.
const (
	number = 0
	chunk  = 2
)

// parts are the fields of one message, one after the other.
type parts struct {
	rest  []byte
	tag   uint64 // the number of the field and its wire type
	n     uint64 // its value, where it is a number
	bytes []byte // its value, where it is a chunk: a part of the message
	err   error  // ends the parts
}

// next goes to the next field; false at the end of the message or where err says why.
func (p *parts) next() bool {
	// As a rule a tag takes one byte, and a number or a length often does.
	if b := p.rest; len(b) >= 2 && b[0] < 1<<7 && b[0] >= 1<<3 && p.err == nil {
		v, n := uint64(b[1]), 1
		if v >= 1<<7 {
			v, n = protowire.ConsumeVarint(b[1:])
		}
		switch wire := b[0] & 7; {
		case n < 0:
		case wire == number:
			p.tag, p.n, p.rest = uint64(b[0]), v, b[1+n:]
			return true
		case wire == chunk && v <= uint64(len(b)-1-n):
			p.tag, p.bytes, p.rest = uint64(b[0]), b[1+n:1+n+int(v)], b[1+n+int(v):]
			return true
		}
	}
	return p.general()
}

// general is next for a field of any form.
func (p *parts) general() bool {
	if len(p.rest) == 0 || p.err != nil {
		return false
	}
	num, typ, n := protowire.ConsumeTag(p.rest)
	if n < 0 || num > protowire.MaxValidNumber {
		p.err = errMalformed
		return false
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
		p.err = errMalformed
		return false
	}
	p.rest = p.rest[n:]
	return true
}

// text returns the value of a field that is a text.
func (p *parts) text() string {
	if !utf8.Valid(p.bytes) {
		p.err = errMalformed
		return ""
	}
	return string(p.bytes)
}

// SplitCalls returns the calls of a JudgeRequest, each to be read with Call.Read. They are
// parts of the request.
func SplitCalls(request []byte, calls [][]byte) ([][]byte, error) {
	p := parts{rest: request}
	for p.next() {
		if p.tag != fieldCalls<<3|chunk {
			continue
		}
		if len(calls) == MaxBatchCalls {
			return calls, errors.New("too many calls in one message")
		}
		calls = append(calls, p.bytes)
	}
	return calls, p.err
}

// Read reads one call. The States and Step.Data are parts of message, and the slice of
// States is used again.
func (c *Call) Read(message []byte) error { return c.read(message, nil) }

func (c *Call) read(message []byte, names *names) error {
	*c = Call{States: c.States[:0]}
	p := parts{rest: message}
	for p.next() {
		switch p.tag {
		case fieldCallNumber<<3 | number:
			c.Number = p.n
		case fieldCallBudget<<3 | number:
			c.Budget = time.Duration(p.n)
		case fieldCallStates<<3 | chunk:
			c.States = append(c.States, p.bytes)
		case fieldCallSession<<3 | chunk:
			p.err = readSession(p.bytes, &c.Session, names)
		case fieldCallStep<<3 | chunk:
			p.err = readStep(p.bytes, &c.Step)
		}
	}
	return p.err
}

// names makes strings of which many share an allocation. What has become one never changes.
type names struct{ all strings.Builder }

// namesBytes is how much is allocated at once, in bytes.
const namesBytes = 1 << 10

// take returns the bytes as a string.
func (n *names) take(bytes []byte) string {
	if n == nil || len(bytes) > namesBytes/8 {
		return string(bytes)
	}
	if n.all.Cap()-n.all.Len() < len(bytes) {
		n.all.Reset() // leaves what there is to those who hold it
		n.all.Grow(namesBytes)
	}
	from := n.all.Len()
	n.all.Write(bytes)
	return n.all.String()[from:]
}

func readSession(message []byte, s *validator.Session, names *names) error {
	p := parts{rest: message}
	for p.next() {
		switch p.tag {
		case fieldSessionID<<3 | chunk:
			if s.ID = names.take(p.bytes); !utf8.ValidString(s.ID) {
				p.err = errMalformed
			}
		case fieldSessionPosition<<3 | number:
			s.Position = int(p.n)
		case fieldSessionSteps<<3 | number:
			s.Steps = int(p.n)
		}
	}
	return p.err
}

func readStep(message []byte, s *validator.Step) error {
	p := parts{rest: message}
	for p.next() {
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
	return p.err
}

// ReadAnswers calls take for every answer of a JudgeResponse. The answers of the instances
// are good until take returns; they hold nothing of the response. An error of take ends the reading:
// how many answers there may be is for the caller to know.
func ReadAnswers(response []byte, answers []Answer, take func(call uint64, answers []Answer) error) error {
	p := parts{rest: response}
	for p.next() {
		if p.tag != fieldAnswers<<3|chunk {
			continue
		}
		var call uint64
		if call, answers, p.err = readAnswer(p.bytes, answers[:0]); p.err == nil {
			p.err = take(call, answers)
		}
	}
	return p.err
}

func readAnswer(message []byte, answers []Answer) (call uint64, _ []Answer, err error) {
	p := parts{rest: message}
	for p.next() {
		switch p.tag {
		case fieldAnswerCall<<3 | number:
			call = p.n
		case fieldAnswerVerdicts<<3 | chunk:
			if len(answers) == MaxInstances {
				return 0, answers, errors.New("too many verdicts in one answer")
			}
			answers = append(answers, Answer{})
			p.err = readVerdict(p.bytes, &answers[len(answers)-1])
		}
	}
	return call, answers, p.err
}

// readVerdict reads the answer of one instance into a, the zero value. A verdict that is not of
// the contract's form becomes an answer with an error, as with DecodeAnswer.
func readVerdict(message []byte, a *Answer) error {
	var (
		outcome int32
		fault   *faultRead
		failure string
		p       = parts{rest: message}
	)
	for p.next() {
		switch p.tag {
		case fieldVerdictOutcome<<3 | number:
			outcome = int32(p.n)
		case fieldVerdictReason<<3 | chunk:
			a.Verdict.Reason = validator.Reason(p.text())
		case fieldVerdictDetail<<3 | chunk:
			a.Verdict.Detail = p.text()
		case fieldVerdictState<<3 | chunk:
			a.Verdict.State = append([]byte(nil), p.bytes...)
		case fieldVerdictError<<3 | chunk:
			failure = p.text()
		case fieldVerdictExpects<<3 | number:
			a.Expects, a.Known = int64(p.n), true
		case fieldVerdictFault<<3 | chunk:
			if fault == nil {
				fault = new(faultRead)
			}
			p.err = fault.read(p.bytes)
		}
	}
	if p.err == nil {
		a.check(outcome, fault, failure)
	}
	return p.err
}

// A faultRead is a fault as it came.
type faultRead struct {
	kind                int32
	delay, stepID, code int64
}

func (f *faultRead) read(message []byte) error {
	p := parts{rest: message}
	for p.next() {
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
	return p.err
}
