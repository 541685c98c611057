package session_test

import (
	"maps"
	"slices"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// left returns the sessions that nameless clients of the address with the identity have left.
func (w *world) left(m *model, from who) []string {
	var left []string
	for _, id := range slices.Sorted(maps.Keys(m.slots)) {
		if p := m.slots[id]; p.name == "" && p.from == from && p.open() && len(p.users) == 0 {
			left = append(left, id)
		}
	}
	return left
}

// expects reports whether the step is in order now.
func (p slot) expects(stepID int64) bool { return p.run.wants == stepID && inList(stepID) }

// calmForAll is longer than a step may take.
var calmForAll = options.TakeoverWait + 50*time.Millisecond

// resume has a nameless client go on over a new connection. Its earlier one has been closed,
// or is closed now and that is known, or is seen a moment later.
func (w *world) resume() {
	w.calm(calmForAll)
	m := w.first()
	var may []string
	for _, id := range slices.Sorted(maps.Keys(m.slots)) {
		if p := m.slots[id]; p.name == "" && p.open() {
			may = append(may, id)
		}
	}
	if len(may) == 0 {
		return
	}
	w.resumeIn(rapid.SampledFrom(may).Draw(w.T, "session"))
}

// fieldClient goes through a part of a procedure over a connection for every step, and mostly
// comes back at the time that it said.
func (w *world) fieldClient() {
	c := w.connectFrom(w.someone())
	w.steps(c, "", 1)
	slot := w.first().conns[c].own
	for range rapid.IntRange(1, 11).Draw(w.T, "steps") {
		p, found := w.first().slots[slot]
		if !found || !p.open() {
			return
		}
		if len(p.users) > 0 && rapid.IntRange(0, 3).Draw(w.T, "closes late") < 3 {
			w.hangUp(p.users[0])
		}
		w.pass(max(time.Until(p.run.due), 0) +
			rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, -100 * time.Millisecond}).Draw(w.T, "late by"))
		w.calm(calmForAll)
		if w.first().slots[slot].open() {
			w.resumeIn(slot)
		}
	}
}

// resumeIn has the client of the slot go on.
func (w *world) resumeIn(id string) {
	m := w.first()
	p := m.slots[id]
	req, o := w.request("", p.run.wants)
	if req.StepID == 1 || !w.isPromised(m, id, req.StepID) {
		return
	}
	earlier := 0
	var seen time.Duration
	if len(p.users) > 0 {
		earlier = p.users[0]
		if !p.expects(req.StepID) && p.run.due.After(time.Now()) {
			return // it comes too early and with the wrong step: nothing tells that it is back
		}
		if rapid.Bool().Draw(w.T, "known") {
			w.conns[earlier].gone.Store(true)
		} else {
			seen = rapid.SampledFrom([]time.Duration{time.Millisecond, 100 * time.Millisecond, 249 * time.Millisecond}).Draw(w.T, "seen after")
		}
	}

	next := w.connectFrom(p.from)
	arrived := time.Now()
	answered := make(chan session.Answer, 1)
	send := w.way()
	go func() { answered <- send(w.conns[next].Conn, req) }()
	if earlier != 0 {
		time.Sleep(seen)
		if seen == 0 {
			synctest.Wait() // until it has taken up the session
		}
		w.conns[earlier].Close()
		delete(w.conns, earlier)
	}
	answer := <-answered
	for _, m := range w.models {
		if earlier != 0 {
			m.leave(earlier, arrived.Add(seen))
		}
		m.take(next, id)
	}
	w.answered(call{conn: next, req: req, order: o, arrived: arrived}, answer, options.TakeoverWait)
}

// isPromised reports whether the design lets a client that comes with the step count on its
// session, though others of its address have left theirs: it is due and they are not or less
// recently, it is the only one that expects the step, or all are early and it left last.
func (w *world) isPromised(m *model, id string, stepID int64) bool {
	const clearly = 10 * time.Millisecond
	now, p := time.Now(), m.slots[id]
	if len(p.users) > 0 {
		p.left = now
	}
	due := !p.run.due.After(now)
	if !due && p.run.due.Before(now.Add(clearly)) {
		return false
	}
	for _, other := range w.left(m, p.from) {
		o := m.slots[other]
		if other == id || p.expects(stepID) && !o.expects(stepID) {
			continue
		}
		if o.expects(stepID) && !p.expects(stepID) {
			return false
		}
		otherDue := o.run.due.Before(now.Add(clearly))
		switch {
		case due && (!otherDue || o.run.due.Before(p.run.due.Add(-clearly))):
		case !due && !otherDue && o.left.Before(p.left):
		default:
			return false
		}
	}
	return true
}
