package session_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// started is a Group to which steps can be put without waiting. The answers to even steps that
// take no time come within Start, the others later and from another goroutine.
type started struct{ judge.Group }

func (g started) Start(bound judge.Bound, call judge.Call, to judge.Receiver, index int) {
	answer := func() {
		ctx := bound.Context()
		defer ctx.Release()
		to.Receive(index, g.Judge(ctx, call))
	}
	var o order
	if call.Step.Data != nil {
		_ = json.Unmarshal(call.Step.Data, &o) // obedient says what is wrong with it
	}
	if call.Step.ID%2 == 0 && o.Takes == 0 {
		answer()
		return
	}
	go answer()
}

func (started) Flush() {}

// answered is a Client for one request.
type answered struct {
	req     protocol.Request
	arrived time.Time
	calls   atomic.Int32
	answers chan session.Answer
	panics  chan any
	stack   []byte
}

func newAnswered(req protocol.Request, arrived time.Time) *answered {
	return &answered{req: req, arrived: arrived, answers: make(chan session.Answer, 1), panics: make(chan any, 1)}
}

func (a *answered) Answered(req protocol.Request, arrived time.Time, answer session.Answer) {
	a.once()
	if !reflect.DeepEqual(req, a.req) || !arrived.Equal(a.arrived) {
		panic(fmt.Sprintf("answered %+v of %v, asked %+v of %v", req, arrived, a.req, a.arrived))
	}
	a.answers <- answer
}

func (a *answered) Failed(panicked any, stack []byte) {
	a.once()
	a.stack = stack
	a.panics <- panicked
}

func (a *answered) once() {
	if a.calls.Add(1) > 1 {
		panic(fmt.Sprintf("%+v was answered twice", a.req))
	}
}

// wait returns the answer, and panics as Do does.
func (a *answered) wait() session.Answer {
	select {
	case answer := <-a.answers:
		return answer
	case p := <-a.panics:
		panic(p)
	}
}
