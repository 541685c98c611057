package pluginhost

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// A started is a step that was put to a group by somebody who does not wait for the answers.
type started struct {
	group  *group
	phase  *phase
	number uint64
	bound  judge.Bound
	call   judge.Call
	to     judge.Receiver
	index  int
}

// Start implements judge.Starter. A step that cannot be sent at once is given a goroutine that
// waits.
func (g *group) Start(bound judge.Bound, call judge.Call, to judge.Receiver, index int) {
	p, number := g.phase.Load(), g.steps.Add(1)
	if l := p.link; l != nil && l.data != nil && l.start(&started{g, p, number, bound, call, to, index}) {
		return
	}
	s := &started{g, p, number, bound, call, to, index}
	go s.wait(nil)
}

// Flush implements judge.Starter.
func (g *group) Flush() {
	if l := g.phase.Load().link; l != nil && l.data != nil {
		l.flushStarted()
	}
}

// start puts the step on the data path if there is room, and its parent can be watched; false when
// not.
func (l *link) start(s *started) bool {
	select {
	case l.slots <- struct{}{}:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || !l.parent.is(s.bound.Parent, len(l.sent) > 0, l.abandon) {
		<-l.slots
		return false
	}
	w := l.waiters.Get().(*waiter)
	w.deadline, w.started = s.bound.Deadline, *s
	return l.add(w, &sdk.Call{Session: s.call.Session, States: s.call.States, Step: s.call.Step}, s.began())
}

const (
	// plenty is how many steps at the plugin are more than enough to keep it busy.
	plenty = 256
	// plentyWait is how long a Flush then waits for some of them at most: what waits in the
	// clients' sockets meanwhile takes no memory here.
	plentyWait = time.Millisecond
)

// flushStarted writes the steps that have come together, unless somebody does.
func (l *link) flushStarted() {
	l.mu.Lock()
	idle := l.data.waiting > 0 && !l.data.writing && l.err == nil
	if idle {
		l.data.writing = true
	}
	l.mu.Unlock()
	if idle {
		l.flush(false)
	}
	if l.isAlone() {
		l.data.watchAlone()
		return
	}
	if !l.hasPlenty() {
		return
	}
	enough := time.NewTimer(plentyWait)
	defer enough.Stop()
	for l.hasPlenty() {
		select {
		case <-l.answered:
		case <-enough.C:
			return
		}
	}
}

// isAlone reports whether one step is at the plugin.
func (l *link) isAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent) == 1
}

// aloneTime is how long the answer to a step that is alone at the plugin is watched for: a core that
// goes to sleep between a step and its verdict takes longer than that to wake up.
const aloneTime = 25 * time.Microsecond

// watchAlone returns when an answer has come, or aloneTime has passed.
func (d *dataPath) watchAlone() {
	_ = d.raw.Control(func(fd uintptr) { // fails when it is closed
		var one [1]byte
		for began := time.Now(); time.Since(began) < aloneTime; {
			if _, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err != unix.EAGAIN {
				return
			}
		}
	})
}

func (l *link) hasPlenty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent) >= plenty
}

// began is when the step was put to the group.
func (s *started) began() time.Time { return s.bound.Deadline.Add(-s.bound.Limit) }

// wait puts the step to the process in the way of Judge.
func (s *started) wait(lost *lostError) {
	ctx := s.bound.Context()
	defer ctx.Release()
	answers, err := s.group.ask(ctx, s.call, s.phase, lost)
	s.end(answers, err, time.Now())
}

// finish takes what has become of the step at the data path. It does not wait.
func (s *started) finish(r reply) {
	var lost *lostError
	switch {
	case r.err == nil:
		s.end(r.answers, nil, r.at)
	case errors.As(r.err, &lost):
		go s.wait(lost)
	case errors.Is(r.err, errExpired):
		s.end(nil, s.bound.Late(), time.Time{})
	default:
		s.end(nil, r.err, time.Time{})
	}
}

// end hands out the answers.
func (s *started) end(answers []judge.Answer, err error, at time.Time) {
	if err != nil {
		answers = s.group.undecided(err)
	}
	s.group.note(noted{s.number, s.bound.Limit, at.Sub(s.began())}, s.call, answers, err)
	s.to.Receive(s.index, answers)
}

// A parent is the context of the steps for which nobody waits, which as a rule is the same for
// all of them: one is watched at a time. Guarded by link.mu.
type parent struct {
	ctx  context.Context
	stop func() bool
}

// is has ended called when the context ends, or soon if it has. False says that another one is
// watched, for steps that are in flight.
func (p *parent) is(ctx context.Context, inFlight bool, ended func()) bool {
	switch {
	case p.ctx == ctx && ctx.Err() == nil:
		return true
	case p.ctx != nil && p.ctx != ctx && p.ctx.Err() == nil && inFlight:
		return false
	}
	p.forget()
	p.ctx, p.stop = ctx, context.AfterFunc(ctx, ended)
	return true
}

func (p *parent) forget() {
	if p.stop != nil {
		p.stop()
	}
}

// abandon tells those whose parent has ended.
func (l *link) abandon() {
	var over []*waiter
	l.mu.Lock()
	for _, w := range l.sent {
		if w.started.group != nil && !w.expired && w.started.bound.Parent.Err() != nil {
			w.expired = true
			over = append(over, w)
		}
	}
	l.mu.Unlock()
	for _, w := range over {
		l.hand(w, reply{err: context.Cause(w.started.bound.Parent)})
	}
}
