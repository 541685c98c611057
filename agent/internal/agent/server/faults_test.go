package server_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// perform sends the steps 1 and 2 and checks the first reply.
func perform(t *testing.T, fault validator.Fault) *peer {
	t.Helper()
	return begin(start(t, defaults(), faulty(fault)).dial(t))
}

func begin(p *peer) *peer {
	p.t.Helper()
	p.send(`{"step_id":1,"timeout":5}`)
	p.expect(`{"step_id":1,"error_code":0}`)
	p.send(`{"step_id":2,"timeout":5}`)
	return p
}

// inBubble is perform on virtual time, over a pipe, which hands over by itself what each write
// wrote.
func inBubble(t *testing.T, fault validator.Fault, check func(p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		startIn(t, nil, pipes, defaults(), slog.New(slog.DiscardHandler), judge.New(chain(t, faulty(fault))))
		check(begin(newPeer(t, pipes.dial(t))))
	})
}

func TestFaultWithhold(t *testing.T) {
	p := perform(t, validator.Fault{Kind: validator.FaultWithhold})
	p.send(`{"step_id":3,"timeout":5}`) // the verdict counts although the reply was withheld
	p.expect(`{"step_id":3,"error_code":0}`)
}

func TestFaultDelay(t *testing.T) {
	inBubble(t, validator.Fault{Kind: validator.FaultDelay, Delay: 300 * time.Millisecond}, func(p *peer) {
		began := time.Now()
		p.send(`{"step_id":3,"timeout":5}`) // is not held up
		p.expect(`{"step_id":3,"error_code":0}`)
		p.expect(`{"step_id":2,"error_code":0}`)
		if took := time.Since(began); took != 300*time.Millisecond {
			p.t.Errorf("the reply came after %v", took)
		}
	})
}

func TestFaultLate(t *testing.T) {
	t.Parallel()
	began := time.Now()
	p := start(t, defaults(), faulty(validator.Fault{Kind: validator.FaultLate, Delay: 100 * time.Millisecond})).dial(t)
	p.send(`{"step_id":1}{"step_id":2,"timeout":0.2}`)
	p.expect(`{"step_id":1,"error_code":0}`)
	p.expect(`{"step_id":2,`)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("the reply came after %v, before the timeout and the delay", took)
	}
}

// However late a reply is to be, it is not early.
func TestFaultLateForever(t *testing.T) {
	p := perform(t, validator.Fault{Kind: validator.FaultLate, Delay: math.MaxInt64})
	for id := 3; id < 10; id++ {
		p.send(fmt.Sprintf(`{"step_id":%d,"timeout":5}`, id))
		p.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, id))
	}
}

func TestFaultReset(t *testing.T) {
	p := perform(t, validator.Fault{Kind: validator.FaultReset})
	if _, err := p.lines.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestFaultDuplicate(t *testing.T) {
	p := perform(t, validator.Fault{Kind: validator.FaultDuplicate})
	p.expect(`{"step_id":2,"error_code":0}`)
	p.expect(`{"step_id":2,"error_code":0}`)
	p.send(`{"step_id":3}`)
	p.expect(`{"step_id":3,"error_code":0}`)
}

func TestFaultSplit(t *testing.T) {
	inBubble(t, validator.Fault{Kind: validator.FaultSplit, Delay: 50 * time.Millisecond}, func(p *peer) {
		half := make([]byte, 256)
		n, err := p.Read(half)
		if err != nil || n == 0 || half[n-1] == '\n' {
			p.t.Fatalf("the first segment is %q, %v; want half a reply", half[:n], err)
		}
		began := time.Now()
		if got := string(half[:n]) + p.receive(); got != `{"step_id":2,"error_code":0}` {
			p.t.Errorf("both halves are %s", got)
		}
		if took := time.Since(began); took != 50*time.Millisecond {
			p.t.Errorf("the second half came after %v", took)
		}
	})
}

func TestFaultWrongID(t *testing.T) {
	perform(t, validator.Fault{Kind: validator.FaultWrongID, StepID: 77}).expect(`{"step_id":77,"error_code":0}`)
}

func TestFaultWrongCode(t *testing.T) {
	perform(t, validator.Fault{Kind: validator.FaultWrongCode, Code: 99}).expect(`{"step_id":2,"error_code":99}`)
}
