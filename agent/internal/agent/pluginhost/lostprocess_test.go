package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/validator"
)

// atOnce makes every process count as lasting, so that each loss is followed by a start at
// once.
func atOnce(o *Options) { o.Lasting = time.Nanosecond }

// A crowd is sessions that are judged at the same time, step after step, each verdict
// compared with the true one.
type crowd struct {
	steps  int64         // of a session
	pause  time.Duration // between two steps of a session
	judged atomic.Int64
	stop   chan struct{}
	done   sync.WaitGroup
}

func newCrowd(t *testing.T, g judge.Group, sessions int, change ...func(c *crowd)) *crowd {
	c := &crowd{steps: 10, stop: make(chan struct{})}
	for _, f := range change {
		f(c)
	}
	for range sessions {
		c.done.Go(func() { c.walk(t, g) })
	}
	return c
}

// pausing makes a crowd one that is there while something else is the load.
func pausing(d time.Duration) func(*crowd) { return func(c *crowd) { c.pause = d } }

func (c *crowd) walk(t *testing.T, g judge.Group) {
	var state []byte
	for id := int64(1); ; id++ {
		select {
		case <-c.stop:
			return
		default:
		}
		if id > c.steps {
			id, state = 1, nil
		}
		a := within(t, patience, g, id, state)[0]
		next := judge.Expectation{StepID: id + 1, Known: true}
		if a.Err != nil || a.Verdict.Outcome != validator.Pass || a.Expects != next || len(a.Verdict.State) != int(id) {
			t.Errorf("step %d: %+v", id, a)
			return
		}
		state = a.Verdict.State
		c.judged.Add(1)
		time.Sleep(c.pause)
	}
}

// advance waits until that many more steps are judged.
func (c *crowd) advance(t *testing.T, steps int64) {
	t.Helper()
	goal := c.judged.Load() + steps
	eventually(t, "steps are judged", func() bool { return c.judged.Load() >= goal })
}

func (c *crowd) end() {
	close(c.stop)
	c.done.Wait()
}

func TestP01KilledUnderLoadIsNotSeen(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter"})
	c := newCrowd(t, set.Groups()[0], 32)
	kills := soaktest.Repetitions(t, 1000, 3)
	for range kills {
		c.advance(t, 500)
		st := set.Status()[0]
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another process serves", func() bool {
			now := set.Status()[0]
			return now.State == Serving && now.PID != st.PID
		})
	}
	c.advance(t, 500)
	c.end()
	st := set.Status()[0]
	if st.Restarts != uint64(kills) || st.Errors != 0 || int64(st.Steps) < c.judged.Load() ||
		st.LastError != "the plugin process ended: signal: killed" {
		t.Errorf("status = %+v", st)
	}
}

// pingTimeout is what a process has that is stopped, and more than a sound one takes.
const pingTimeout = 400 * time.Millisecond

// freeze stops the first process of a set and waits until all of it stands still.
func freeze(t *testing.T, set *Set) {
	t.Helper()
	pid := set.Status()[0].PID
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

func TestP02StoppedWhileAStepWaits(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.PingTimeout = pingTimeout })
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	freeze(t, set)
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Restarts != 1 || !strings.Contains(st.LastError, "did not answer a ping") {
		t.Errorf("status = %+v", st)
	}
}

func TestP02StoppedWhileIdle(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { o.PingInterval, o.PingTimeout = time.Millisecond, pingTimeout })
	set := startSet(t, h, Spec{Name: "a", Validator: "echo"})
	freeze(t, set)
	eventually(t, "another process serves", func() bool {
		st := set.Status()[0]
		return st.Restarts > 0 && st.State == Serving
	})
}

func TestP02ValidatorThatNeverReturns(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "hang", Settings: []byte(`{"step":3}`)})
	g := set.Groups()[0]
	a := within(t, 200*time.Millisecond, g, 3)[0]
	if a.Err == nil || a.Err.Error() != "no verdict within 200ms" {
		t.Errorf("got %+v", a)
	}
	eventually(t, "another process serves", func() bool { return set.Status()[0].Restarts == 1 })
	passes(t, g, 1)
	if st := set.Status()[0]; !strings.Contains(st.LastError, "the plugin hangs") || st.Errors != 1 || st.Steps != 2 {
		t.Errorf("status = %+v", st)
	}
}

func TestP03SlowPluginIsLeftAlone(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)})
	g := set.Groups()[0]
	for range 3 {
		within(t, 20*time.Millisecond, g, 3)
		passes(t, g, 1)
	}
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}

func TestP03SlowStepDelaysNoOther(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	g := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)}).Groups()[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var slow sync.WaitGroup
	for range 50 {
		slow.Go(func() {
			a := g.Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})
			if !errors.Is(a[0].Err, context.Canceled) {
				t.Errorf("got %+v", a)
			}
		})
	}
	for range 100 {
		passes(t, g, 1)
	}
	cancel()
	slow.Wait()
}

func TestAPanicIsOneUndecidedVerdict(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "panic", Settings: []byte(`{"step":3}`)})
	a := within(t, patience, set.Groups()[0], 3)[0]
	if a.Err == nil || a.Err.Error() != "panic: on purpose" {
		t.Errorf("got %+v", a)
	}
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
	eventually(t, "the trace is in the log", func() bool {
		return strings.Contains(log.String(), "validator a: panic: on purpose") && strings.Contains(log.String(), "plugins_test.go")
	})
}

func TestP01StepThatKillsTwoProcessesGetsNoThird(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)})
	a := within(t, patience, set.Groups()[0], 3)[0]
	if a.Err == nil || !strings.HasPrefix(a.Err.Error(), "two processes were lost over this step: the plugin") ||
		strings.Contains(a.Err.Error(), stream.ErrStopped.Error()) {
		t.Errorf("got %+v", a)
	}
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Restarts != 2 || st.LastError != "the plugin process ended: exit status 3" {
		t.Errorf("status = %+v", st)
	}
}

func TestP03OtherPluginsAreNotTouched(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h,
		Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)},
		Spec{Name: "b", Validator: "counter", Path: self(t), Args: []string{"plugin", "good"}})
	c := newCrowd(t, set.Groups()[1], 8, pausing(time.Millisecond))
	for range soaktest.Repetitions(t, 500, 2) { // two processes each
		within(t, patience, set.Groups()[0], 3)
	}
	c.advance(t, 100)
	c.end()
	if st := set.Status()[1]; st.Restarts != 0 || st.Errors != 0 {
		t.Errorf("status = %+v", st)
	}
}

// A process that dies between two steps is replaced without any of them noticing.
func TestP01KilledWhileIdle(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter"})
	for kills := range soaktest.Repetitions(t, 1000, 3) {
		if err := syscall.Kill(set.Status()[0].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		passes(t, set.Groups()[0], 1) // on the dying one, or the next
		eventually(t, "another process serves", func() bool {
			st := set.Status()[0]
			return st.State == Serving && st.Restarts == uint64(kills)+1
		})
		passes(t, set.Groups()[0], 1)
	}
}

// maxInFlight is how many steps may wait for one process.
const maxInFlight = 16384

// A plugin that is slow holds as many steps as its queue has places, and no more; another
// plugin does not notice.
func TestP03TheQueueOfASlowPluginIsBounded(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "slow", Settings: []byte(`{"step":3}`)},
		Spec{Name: "b", Validator: "counter", Path: self(t), Args: []string{"plugin", "good"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var slow sync.WaitGroup
	for range maxInFlight {
		slow.Go(func() {
			set.Groups()[0].Judge(ctx, judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: 3}})
		})
	}
	eventually(t, "the queue is full", func() bool {
		a := within(t, 10*time.Millisecond, set.Groups()[0], 3)[0]
		return a.Err != nil && strings.HasPrefix(a.Err.Error(), fmt.Sprintf("%d steps wait for the plugin: ", maxInFlight))
	})
	passes(t, set.Groups()[1], 1)
	cancel()
	slow.Wait()
}

// After many crashes there is one process and no other, alive or dead.
func TestP15NoZombies(t *testing.T) {
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)})
	crashes := soaktest.Repetitions(t, 1000, 3) // two processes each
	for range crashes {
		within(t, patience, set.Groups()[0], 3)
		passes(t, set.Groups()[0], 1)
	}
	if st := set.Status()[0]; st.Restarts != uint64(2*crashes) {
		t.Errorf("status = %+v", st)
	}
	eventually(t, "one child is left", func() bool { return len(children()) == 1 })
}

// What a plugin starts and leaves to itself is reaped when it ends, however long the plugin
// lives.
func TestP15NoZombiesOfALivingPlugin(t *testing.T) {
	h, _ := newTestHost(t, func(o *Options) { o.Adopt = true })
	set := startSet(t, h, Spec{Name: "a", Validator: "orphans"})
	for range 10 {
		passes(t, set.Groups()[0], 1)
	}
	eventually(t, "one child is left", func() bool { return len(children()) == 1 })
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}
