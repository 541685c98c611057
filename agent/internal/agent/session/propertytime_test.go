package session_test

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// tick keeps apart what is done one after another, so that nothing ends at the same moment.
func (w *world) tick() { w.pass(time.Microsecond) }

// together sends steps over several connections at the same moment. They may have been judged
// in any order.
func (w *world) together() {
	if len(w.models) > 12 {
		return // enough is unknown already
	}
	for len(w.conns) < 3 {
		w.connect()
	}
	w.calm(100 * time.Millisecond)
	if m := w.first(); max(m.stats.Open, m.names(who{}))+3 > min(m.rules.MaxOpen, m.rules.MaxOpenPerAddress) {
		return // who finds room depends on who waits for whom
	}
	conns := rapid.Permutation(w.open()).Draw(w.T, "connections")[:rapid.IntRange(2, 3).Draw(w.T, "steps")]
	if m := w.first(); slices.ContainsFunc(conns, func(c int) bool { return m.room(m.conns[c].from) < 3 }) {
		return
	}
	var calls []call
	for i, c := range conns {
		name := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(w.T, "session")
		if w.first().conns[c].own != "" && rapid.Bool().Draw(w.T, "nameless") {
			name = ""
		}
		req, o := w.request(name, w.wants(c, name))
		req.Interval = protocol.Seconds(req.Interval.Duration + time.Duration(i)*time.Microsecond)
		if i > 0 && rapid.Bool().Draw(w.T, "the same request") {
			req, o = calls[0].req, calls[0].order
		}
		calls = append(calls, call{conn: c, req: req, order: o, arrived: time.Now(), begins: time.Now()})
	}
	if slices.ContainsFunc(calls, func(c call) bool { return c.req.Session == "" && w.first().conns[c.conn].own == "" }) {
		return
	}
	answers := make([]session.Answer, len(calls))
	var running sync.WaitGroup
	for i, call := range calls {
		send := w.way()
		running.Go(func() { answers[i] = send(w.conns[call.conn].Conn, call.req) })
	}
	running.Wait()
	for i := range answers {
		answers[i] = w.seen(answers[i])
	}

	before := w.models
	w.models = nil
	for _, m := range before {
		for _, order := range orders(len(calls)) {
			m, got := m.clone(), make([]session.Answer, len(calls))
			for _, i := range order {
				got[i] = m.do(calls[i])
			}
			if reflect.DeepEqual(got, answers) && !slices.ContainsFunc(w.models, func(o *model) bool { return reflect.DeepEqual(o, m) }) {
				w.models = append(w.models, m)
			}
		}
	}
	if len(w.models) == 0 {
		w.Fatalf("at the same time: no order explains %v", inShort(answers))
	}
}

// orders returns the permutations of 0 to n-1.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range orders(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// wait lets time pass: a little, or until something is about to happen or has just happened.
func (w *world) wait() {
	w.pass(rapid.Custom(func(t *rapid.T) time.Duration {
		var to []time.Duration
		for _, id := range slices.Sorted(maps.Keys(w.first().slots)) {
			p := w.first().slots[id]
			to = append(to, time.Until(w.first().deadline(p)))
			if p.open() {
				to = append(to, time.Until(p.run.due))
			}
		}
		to = append(to, 0)
		return max(rapid.SampledFrom(to).Draw(t, "until"), 0) +
			rapid.SampledFrom([]time.Duration{time.Microsecond, -time.Microsecond, time.Second, 3 * time.Second, time.Minute}).Draw(t, "and")
	}).Draw(w.T, "time"))
}

func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	for _, m := range w.models {
		m.advance(time.Now())
	}
}

// calm waits until nothing ends for so long, since what happens at the same moment may happen
// in any order.
func (w *world) calm(long time.Duration) {
	for range 100 {
		ending := slices.ContainsFunc(w.models, func(m *model) bool { return len(m.ending(time.Now().Add(long))) > 0 })
		if !ending {
			return
		}
		w.pass(long + time.Microsecond)
	}
	w.Fatalf("sessions never cease to end")
}

func (w *world) setOptions() {
	w.calm(0)
	rules, now := w.rules(), time.Now()
	for _, m := range w.models {
		changed := m.clone()
		changed.rules = rules
		if len(changed.ending(now)) > 1 {
			return // all at the same moment, which may be in any order
		}
	}
	w.agent.SetOptions(rules)
	synctest.Wait()
	for _, m := range w.models {
		m.rules, m.changed = rules, now
		m.advance(now)
	}
}

func (w *world) swap() {
	for _, m := range w.models {
		m.generation++
	}
	<-w.agent.judge.Swap(chain(w.T, w.first().mode, w.first().generation, something)).Drained()
}
