package sdk

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A talk is an open data path, the agent's end of it.
type talk struct {
	t     *testing.T
	conn  net.Conn
	ended chan error
}

func talking(t *testing.T, validators ...validator.Validator) *talk {
	t.Helper()
	agent, plugin := net.Pipe()
	instances := make([]instance, len(validators))
	for i, v := range validators {
		in, err := newInstance("v", func([]byte) (validator.Validator, error) { return v, nil }, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		instances[i] = in
	}
	c := &talk{t: t, conn: agent, ended: make(chan error, 1)}
	go func() {
		err := newPort(plugin, instances).run()
		_ = plugin.Close()
		c.ended <- err
	}()
	t.Cleanup(func() { _ = agent.Close() })
	return c
}

// send puts a batch of calls, numbered by their step ids.
func (c *talk) send(ids ...int64) {
	c.t.Helper()
	frame := make([]byte, FrameHeaderBytes)
	for _, id := range ids {
		frame = AppendCall(frame, &Call{Number: uint64(id), Budget: time.Hour,
			Session: validator.Session{ID: "s", Position: 2, Steps: 10}, Step: validator.Step{ID: id}})
	}
	SealFrame(frame)
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the answers by call until n have come.
func (c *talk) receive(n int) map[uint64]Answer {
	c.t.Helper()
	got := map[uint64]Answer{}
	for len(got) < n {
		response, err := ReadFrame(c.conn, nil)
		if err == nil {
			err = ReadAnswers(response, nil, func(call uint64, answers []Answer) error {
				if _, twice := got[call]; twice || len(answers) != 1 {
					c.t.Errorf("call %d is answered with %d verdicts, again: %v", call, len(answers), twice)
				}
				got[call] = answers[0]
				return nil
			})
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return got
}

// However many steps of a batch never end, the others get their answers.
func TestSlowStepsHoldBackNobody(t *testing.T) {
	release := make(chan struct{})
	c := talking(t, validateFunc(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
		if step.ID%5 == 0 {
			<-release
		}
		return validator.PassWith(nil), nil
	}))
	var ids []int64
	for id := range int64(20) {
		ids = append(ids, id+1)
	}
	c.send(ids...)
	for call := range c.receive(16) {
		if call%5 == 0 {
			t.Errorf("call %d is answered", call)
		}
	}
	c.send(101, 102)
	if got := c.receive(2); got[101].Verdict.Outcome != validator.Pass || got[102].Verdict.Outcome != validator.Pass {
		t.Errorf("after them: %+v", got)
	}
	close(release)
	for call, a := range c.receive(4) {
		if call%5 != 0 || a.Verdict.Outcome != validator.Pass {
			t.Errorf("call %d: %+v", call, a)
		}
	}
}

// The watch sleeps when there is nothing to do, and a step that never ends wakes it.
func TestASlowStepAfterAQuietTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := talking(t, validateFunc(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
			if step.ID == 2 {
				<-release
			}
			return validator.PassWith(nil), nil
		}))
		c.send(1)
		c.receive(1)
		time.Sleep(2 * calmLooks * slowStep)
		c.send(2, 3)
		if got := c.receive(1); got[3].Verdict.Outcome != validator.Pass {
			t.Errorf("got %+v", got)
		}
		close(release)
		c.receive(1)
		_ = c.conn.Close()
		if err := <-c.ended; !errors.Is(err, io.EOF) {
			t.Errorf("closed: %v", err)
		}
	})
}

// Each call is answered once, whoever has the lead when it is judged: here steps take about as
// long as it takes to lose it.
func TestEachCallIsAnsweredOnce(t *testing.T) {
	c := talking(t, validateFunc(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
		if step.ID%31 == 0 {
			for began := time.Now(); time.Since(began) < slowStep+time.Duration(step.ID%7)*slowStep/4; {
				continue
			}
		}
		return validator.PassWith(nil), nil
	}))
	for batch := range int64(30) {
		ids := make([]int64, 40)
		for i := range ids {
			ids[i] = 1 + batch*int64(len(ids)) + int64(i)
		}
		c.send(ids...)
		for call := range c.receive(len(ids)) {
			if int64(call) < ids[0] || int64(call) > ids[len(ids)-1] {
				t.Errorf("call %d is answered in batch %d", call, batch)
			}
		}
	}
}

// However much a batch has the validators remember, no message of answers is longer than allowed.
func TestLongAnswersAreSeveralMessages(t *testing.T) {
	heavy := validateFunc(func(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
		return validator.PassWith(make([]byte, validator.MaxStateBytes)), nil
	})
	c := talking(t, slices.Repeat([]validator.Validator{heavy}, 4)...)
	ids := make([]int64, MaxBatchCalls)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	c.send(ids...)
	left, messages := len(ids), 0
	for ; left > 0; messages++ {
		response, err := ReadFrame(c.conn, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ReadAnswers(response, nil, func(_ uint64, answers []Answer) error {
			left--
			return answers[len(answers)-1].Err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if messages < 2 {
		t.Errorf("all answers are in %d message", messages)
	}
}

// Steps that take their time are judged on all cores.
func TestALongBatchIsShared(t *testing.T) {
	var together, most atomic.Int64
	both := make(chan struct{})
	var once sync.Once
	c := talking(t, validateFunc(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
		if n := together.Add(1); n > 1 {
			most.Store(n)
			once.Do(func() { close(both) })
		}
		defer together.Add(-1)
		if step.ID == 9 { // the first after the leader has looked at the clock
			<-both
		}
		for began := time.Now(); time.Since(began) < slowBatch; {
			continue
		}
		return validator.PassWith(nil), nil
	}))
	ids := make([]int64, 24)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	c.send(ids...)
	c.receive(len(ids))
	if most.Load() < 2 {
		t.Error("one after the other")
	}
}

// What the agent closes ends; what it breaks ends with the reason.
func TestAPortEnds(t *testing.T) {
	c := talking(t, validateFunc(pass))
	c.send(1)
	c.receive(1)
	_ = c.conn.Close()
	if err := <-c.ended; !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
	for name, bytes := range map[string]string{
		"a huge frame": "\xff\xff\xff\xff", "no message": "\x00\x00\x00\x01\xff", "a broken call": "\x00\x00\x00\x03\x0a\x01\xff",
	} {
		c := talking(t, validateFunc(pass))
		if _, err := c.conn.Write([]byte(bytes)); err != nil {
			t.Fatal(err)
		}
		if err := <-c.ended; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an agent sends, a port ends with an error and not with the process.
func FuzzPort(f *testing.F) {
	frame := AppendCall(make([]byte, FrameHeaderBytes), &Call{Number: 1, Budget: 1, States: [][]byte{{1}}})
	SealFrame(frame)
	f.Add(frame)
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := talking(t, counter{})
		go func() { _, _ = io.Copy(io.Discard, c.conn) }()
		_, _ = c.conn.Write(sent) // as much as it takes
		_ = c.conn.Close()
		if err := <-c.ended; err == nil {
			t.Error("it ends without a reason")
		}
	})
}
