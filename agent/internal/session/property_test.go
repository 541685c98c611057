package session_test

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestAgainstModel lets random clients at a Manager and compares every reply, every count and
// every line about a session with the model.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"advance", "resync", "hold"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				rapid.SyncTest(t, func(t *rapid.T) { newWorld(t, mode).run() })
			})
		})
	}
}

// A world is a Manager with its clients, and the models that explain all that was seen. Steps
// that were sent at the same time may leave more than one.
type world struct {
	*rapid.T
	agent  *agent
	models []*model
	conns  map[int]*client
	count  int
	sent   []protocol.Request // with a req
}

type client struct {
	*session.Conn
	gone atomic.Bool
}

// names and addresses are few, so that clients meet.
var (
	names     = []string{"a", "b", "c", "d"}
	addresses = []string{here, there}
)

func newWorld(t *rapid.T, mode string) *world {
	w := &world{T: t, conns: map[int]*client{}}
	rules := w.rules()
	w.agent = newAgent(t, mode, rules)
	w.models = []*model{{
		mode: mode, rules: rules, generation: 1, conns: map[int]conn{}, places: map[string]place{},
		free: map[string]time.Time{},
	}}
	return w
}

func (w *world) run() {
	w.Repeat(map[string]func(*rapid.T){
		"":         w.with(w.check),
		"connect":  w.with(w.connect),
		"close":    w.with(w.close),
		"step":     w.with(w.step),
		"in order": w.with(w.inOrder),
		"resume":   w.with(w.resume),
		"repeat":   w.with(w.repeat),
		"together": w.with(w.together),
		"wait":     w.with(w.wait),
		"options":  w.with(w.setOptions),
		"swap":     w.with(w.swap),
	})
	for _, id := range w.open() {
		w.hangUp(id)
	}
	w.check()
	w.agent.expire()
	w.lines()
}

// with has an action draw from the T that it is given.
func (w *world) with(action func()) func(*rapid.T) {
	return func(t *rapid.T) {
		w.T = t
		action()
	}
}

func (w *world) rules() session.Options {
	rules := options
	rules.Steps = rapid.SampledFrom([]int{10, 1, 2, 3, 12}).Draw(w.T, "steps")
	rules.IdleTimeout = rapid.SampledFrom([]time.Duration{60, 30, 15}).Draw(w.T, "idle") * time.Second
	rules.ResumeWindow = rapid.SampledFrom([]time.Duration{13, 31, 7}).Draw(w.T, "resume") * time.Second
	rules.RememberedReplies = rapid.SampledFrom([]int{64, 1, 3}).Draw(w.T, "remembered")
	rules.MaxOpen = rapid.SampledFrom([]int{1000, 6, 3, 1}).Draw(w.T, "max open")
	if rapid.Bool().Draw(w.T, "codes") {
		rules.Codes = protocol.Codes{protocol.OutOfOrder: 2, protocol.Busy: 9}
	}
	return rules
}

// first is one of the models, for what all agree on.
func (w *world) first() *model { return w.models[0] }

// open returns the connections, in the order in which they were opened.
func (w *world) open() []int { return slices.Sorted(maps.Keys(w.conns)) }

func (w *world) draw(label string) int {
	if len(w.conns) == 0 {
		w.connect()
	}
	return rapid.SampledFrom(w.open()).Draw(w.T, label)
}

func (w *world) connect() {
	if len(w.conns) >= 8 {
		w.hangUp(w.open()[0])
	}
	w.connectFrom(rapid.SampledFrom(addresses).Draw(w.T, "address"))
}

func (w *world) connectFrom(addr string) int {
	w.count++
	c := &client{}
	c.Conn = w.agent.connectPeer(addr, c.gone.Load)
	w.conns[w.count] = c
	for _, m := range w.models {
		m.conns[w.count] = conn{addr: addr}
	}
	return w.count
}

func (w *world) close() { w.hangUp(w.draw("connection")) }

func (w *world) hangUp(id int) {
	w.conns[id].Close()
	delete(w.conns, id)
	w.explain(func(m *model) []session.Answer {
		m.leave(id, time.Now())
		return nil
	})
}

// explain moves the models on, and keeps those that say what was seen.
func (w *world) explain(move func(*model) []session.Answer, seen ...session.Answer) {
	w.Helper()
	var explained []*model
	var said [][]session.Answer
	for _, m := range w.models {
		answers := move(m)
		if reflect.DeepEqual(answers, seen) {
			explained = append(explained, m)
		}
		said = append(said, answers)
	}
	if len(explained) == 0 {
		w.Fatalf("got %v, want %v", inShort(seen), inShort(said[0]))
	}
	w.models = explained
}

func inShort(answers []session.Answer) string {
	var words []string
	for _, a := range answers {
		words = append(words, fmt.Sprintf("%s code %d for %s in %q", said(a), a.Reply.ErrorCode, a.Reply.Req, a.Reply.Session))
	}
	return strings.Join(words, "; ")
}

// seen is the answer as the model gives it. The details are only looked at: there must be one
// wherever there is a reason.
func (w *world) seen(answer session.Answer) session.Answer {
	w.Helper()
	if (answer.Reply.Detail == "") != (answer.Reply.Reason == "") {
		w.Fatalf("reason %q, detail %q", answer.Reply.Reason, answer.Reply.Detail)
	}
	answer.Reply.Detail = ""
	return answer
}

// request draws a step for a place in which wants must come.
func (w *world) request(name string, wants int64) (protocol.Request, order) {
	req := protocol.Request{Session: name, StepID: wants}
	if rapid.IntRange(0, 3).Draw(w.T, "wrong id") == 3 {
		req.StepID = rapid.SampledFrom([]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 0, -1}).Draw(w.T, "step_id")
	}
	switch rapid.IntRange(0, 5).Draw(w.T, "timeout") {
	case 4:
		req.Timeout = protocol.Seconds(5*time.Second - 1)
	case 5:
	default:
		req.Timeout = protocol.Seconds(5 * time.Second)
	}
	if interval := rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond, 3 * time.Second, 100 * time.Second, -1}).Draw(w.T, "interval"); interval >= 0 {
		req.Interval = protocol.Seconds(interval)
	}
	if rapid.IntRange(0, 2).Draw(w.T, "with req") == 2 {
		w.count++
		req.Req = protocol.NumReq(int64(w.count))
		w.sent = append(w.sent, req)
	}
	o := order{
		Undecided: rapid.IntRange(0, 5).Draw(w.T, "undecided") == 5,
		Takes:     rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Millisecond}).Draw(w.T, "takes"),
	}
	req.Data = o.data()
	return req, o
}

// wants returns the step that must come for the connection.
func (w *world) wants(c int, name string) int64 {
	m := w.first()
	if p := m.places[cmp.Or(name, m.conns[c].own)]; p.open() {
		return p.run.wants
	}
	return 1
}

// step sends a step over any connection.
func (w *world) step() {
	c := w.draw("connection")
	name := rapid.SampledFrom(append([]string{""}, names...)).Draw(w.T, "session")
	w.steps(c, name, 1)
}

// inOrder sends some steps one after another, so that sessions reach their end.
func (w *world) inOrder() {
	c := w.draw("connection")
	w.steps(c, rapid.SampledFrom([]string{"", "a", "b"}).Draw(w.T, "session"), rapid.IntRange(2, 11).Draw(w.T, "steps"))
}

func (w *world) steps(c int, name string, n int) {
	for range n {
		w.tick()
		w.calm(options.TakeoverWait + 50*time.Millisecond)
		req, o := w.request(name, w.wants(c, name))
		m := w.first()
		var patience time.Duration
		if name == "" && m.conns[c].own == "" {
			patience = options.TakeoverWait
			if len(w.left(m, m.conns[c].addr)) > 0 {
				req.StepID = 1 // anything else would take up what others have left
			}
		}
		w.send(c, req, o, patience)
	}
}

// repeat sends a request again, or what claims to be one.
func (w *world) repeat() {
	if len(w.sent) == 0 {
		return
	}
	w.calm(50 * time.Millisecond)
	req := rapid.SampledFrom(w.sent).Draw(w.T, "request")
	if req.Session == "" {
		return
	}
	if rapid.Bool().Draw(w.T, "another step") {
		req.StepID++
	}
	req.Data = nil
	w.send(w.draw("connection"), req, order{}, 0)
}

// send sends the step. It may have to wait so long for its seat.
func (w *world) send(c int, req protocol.Request, o order, patience time.Duration) {
	w.Helper()
	arrived := time.Now()
	answer := do(w.conns[c].Conn, req)
	w.answered(call{conn: c, req: req, order: o, arrived: arrived}, answer, patience)
}

func (w *world) answered(c call, answer session.Answer, patience time.Duration) {
	w.Helper()
	took := time.Since(c.arrived)
	judged := !answer.Replayed && answer.Reply.Reason != protocol.Busy
	if !judged {
		c.order.Takes = 0
	}
	if took < c.order.Takes || took > c.order.Takes+patience {
		w.Fatalf("took %v, of which judging should be %v and waiting at most %v", took, c.order.Takes, patience)
	}
	c.begins = time.Now().Add(-c.order.Takes)
	w.explain(func(m *model) []session.Answer {
		m.advance(time.Now())
		return []session.Answer{m.do(c)}
	}, w.seen(answer))
}

// tick keeps apart what is done one after another, so that nothing ends at the same moment.
func (w *world) tick() { w.pass(time.Microsecond) }

// left returns the sessions that nameless clients of the address have left.
func (w *world) left(m *model, addr string) []string {
	var left []string
	for _, id := range slices.Sorted(maps.Keys(m.places)) {
		if p := m.places[id]; p.name == "" && p.addr == addr && p.open() && len(p.users) == 0 {
			left = append(left, id)
		}
	}
	return left
}

// expects reports whether the step is in order now.
func (p place) expects(stepID int64) bool { return p.run.wants == stepID && inList(stepID) }

// resume has a nameless client go on over a new connection. Its earlier one has been closed,
// or is closed now and that is known, or is seen a moment later.
func (w *world) resume() {
	w.calm(options.TakeoverWait + 50*time.Millisecond)
	m := w.first()
	var may []string
	for _, id := range slices.Sorted(maps.Keys(m.places)) {
		if p := m.places[id]; p.name == "" && p.open() {
			may = append(may, id)
		}
	}
	if len(may) == 0 {
		return
	}
	id := rapid.SampledFrom(may).Draw(w.T, "session")
	p := m.places[id]
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

	next := w.connectFrom(p.addr)
	arrived := time.Now()
	answered := make(chan session.Answer, 1)
	go func() { answered <- do(w.conns[next].Conn, req) }()
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
		delete(m.conns, earlier)
		m.take(next, id)
		for other, p := range m.places { // whatever else it had used
			if i := slices.Index(p.users, earlier); i >= 0 && earlier != 0 && other != id {
				p.users = slices.Delete(slices.Clone(p.users), i, i+1)
				if len(p.users) == 0 {
					p.left = arrived.Add(seen)
				}
				m.keep(other, p)
			}
		}
	}
	w.answered(call{conn: next, req: req, order: o, arrived: arrived}, answer, options.TakeoverWait)
}

// isPromised reports whether the design lets a client that comes with the step count on its
// session, though others of its address have left theirs: it is due and they are not or less
// recently, it is the only one that expects the step, or all are early and it left last.
func (w *world) isPromised(m *model, id string, stepID int64) bool {
	const clearly = 10 * time.Millisecond
	now, p := time.Now(), m.places[id]
	if len(p.users) > 0 {
		p.left = now
	}
	due := !p.run.due.After(now)
	if !due && p.run.due.Before(now.Add(clearly)) {
		return false
	}
	for _, other := range w.left(m, p.addr) {
		o := m.places[other]
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

// together sends steps over several connections at the same moment. They may have been judged
// in any order.
func (w *world) together() {
	for len(w.conns) < 3 {
		w.connect()
	}
	w.calm(100 * time.Millisecond)
	if m := w.first(); m.stats.Open+3 > m.rules.MaxOpen || m.names()+3 > m.rules.MaxOpen {
		return // who finds room depends on who waits for whom
	}
	conns := rapid.Permutation(w.open()).Draw(w.T, "connections")[:rapid.IntRange(2, 3).Draw(w.T, "steps")]
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
		running.Go(func() { answers[i] = do(w.conns[call.conn].Conn, call.req) })
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
		for _, id := range slices.Sorted(maps.Keys(w.first().places)) {
			p := w.first().places[id]
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
	<-w.agent.judge.Swap(chain(w.T, w.first().mode, w.first().generation)).Drained()
}

// check compares the counts, and looks at the tables.
func (w *world) check() {
	w.Helper()
	w.tick()
	w.agent.check()
	got, models := w.agent.Stats(), w.models
	w.models = slices.DeleteFunc(slices.Clone(models), func(m *model) bool { return m.stats != got })
	if len(w.models) == 0 {
		w.Fatalf("counts: got %+v, want %+v", got, models[0].stats)
	}
}

// lines compares what the log says of the sessions.
func (w *world) lines() {
	var got []string
	for _, line := range w.agent.log.ends() {
		fields := strings.Fields(line.text)[2:]
		name := strings.TrimPrefix(fields[0], "session=")
		if strings.Contains(name, "#") {
			name = "nameless"
		}
		verdict := strings.TrimPrefix(fields[1], "verdict=")
		rest, _, _ := strings.Cut(strings.Join(fields[2:], " "), " cause=")
		got = append(got, name+": "+verdict+" "+rest)
	}
	slices.Sort(got)
	for _, m := range w.models {
		m.advance(time.Now())
		slices.Sort(m.ended)
		if slices.Equal(got, m.ended) {
			return
		}
	}
	w.Fatalf("lines:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(w.first().ended, "\n"))
}
