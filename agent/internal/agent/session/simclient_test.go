package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// slack is how late or early a client may be.
const slack = time.Second

// A simJudge judges as one validator: steps must come in order and in time. What it needs to know it has
// in its state, which must be that of the session's position.
type simJudge struct{ w *simulation }

func (j simJudge) First() judge.Expectation { return judge.Expectation{StepID: 1, Known: true} }

func (j simJudge) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	if j.w.chance(0.1) {
		return judge.Judgement{}, false
	}
	return j.Judge(context.Background(), s, step), true
}

func (j simJudge) Judge(_ context.Context, s judge.Session, step judge.Step) judge.Judgement {
	if j.w.chance(0.02) {
		return judge.Judgement{Detail: "by chance", Memory: s.Memory}
	}
	judged, interval := 0, time.Duration(0)
	for _, state := range s.Memory.All() {
		judged, interval = int(binary.BigEndian.Uint32(state)), time.Duration(binary.BigEndian.Uint64(state[4:]))
	}
	if judged != s.Position {
		j.w.failf("%s: the validator's state is of position %d, the session of %d", s.ID, judged, s.Position)
	}
	if step.At < 0 || s.Position == 0 && step.At != 0 {
		j.w.failf("%s: step at %v of the session", s.ID, step.At)
	}
	next := judge.Judgement{Outcome: validator.Pass, Generation: 1, Expects: judge.Expectation{StepID: int64(judged) + 2, Known: true}}
	switch off := step.Gap.Duration - interval; {
	case step.ID != int64(judged)+1:
		next.Outcome, next.Reason = validator.Fail, validator.OutOfOrder
	case step.Gap.Declared && off.Abs() > slack:
		next.Outcome, next.Reason, next.Detail = validator.Fail, validator.IntervalNotKept, fmt.Sprint(off, " off")
	}
	state := binary.BigEndian.AppendUint32(nil, uint32(judged)+1)
	state = binary.BigEndian.AppendUint64(state, uint64(step.Interval.Duration))
	next.Memory = judge.CollectMemory(func(yield func(string, []byte) bool) { yield("order", state) })
	return next
}

// A simClient performs procedures, one after another, and knows what must be said of each step: the
// model, which has nothing of how sessions are kept.
type simClient struct {
	w     *simulation
	name  string // of its sessions; empty for none
	addr  netip.Addr
	port  uint16
	conn  *session.Conn // nil for none
	agent *simAgent     // of conn, where there are several
	acts  time.Time     // when it does something next

	retired  bool      // it does nothing any more
	position int       // as it was told
	due      time.Time // of the next step
	req      int64     // of the last step

	// The step under way, if there is one.
	step      *protocol.Request
	asking    bool // it is the last one again
	unsure    bool // it may have been judged without an answer
	wasUnsure bool // before it was sent last
	answer    session.Answer
	progress  session.Progress
	may       []protocol.Reason // what may be said of it

	// What is known of the gap before the next step.
	arrived              time.Time // when it first did
	gapKnown, gapUnknown bool      // the agent may know it, or may not
	gapOld               bool      // what is stored may be of before the last reply was given again
	gapWrong             bool      // and the agent has started with that

	last *protocol.Request // the step before, with its reply
	said protocol.Reply
}

func (w *simulation) newClient() *simClient {
	w.names++
	c := &simClient{w: w, acts: w.clock.now.Add(w.between(0, time.Second)), gapKnown: true}
	c.addr = netip.AddrFrom4([4]byte{10, byte(w.names >> 16), byte(w.names >> 8), byte(w.names)})
	if w.bucket != nil || w.chance(0.7) {
		c.name = fmt.Sprint("bench-", w.names)
	}
	return c
}

// id is that of a session with a name.
func (c *simClient) id() string {
	if c.name != "" && c.w.options.OwnerAddress {
		return c.name + "←" + c.addr.String()
	}
	return c.name
}

// restarted tells the client of an agent that is there again.
func (c *simClient) restarted(times sessionstore.Times) {
	w := c.w
	c.conn = nil
	if back := w.clock.now.Add(w.between(0, time.Second)); c.acts.Before(back) {
		c.acts = back
	}
	late := w.clock.now.Sub(c.due)
	if times != sessionstore.TimesExact || late > 0 {
		c.gapKnown = false
	}
	if times != sessionstore.TimesExact || late > -2*maxCommit {
		c.gapUnknown = true
	}
	c.gapWrong = c.gapWrong || c.gapOld
	if c.name == "" || c.position == 0 {
		return
	}
	view, ok := w.manager.View(c.id())
	if !ok && c.unsure && c.position+1 == w.options.Steps {
		return // that was its last one
	}
	if at := view.Position; !ok || at != c.position && !(c.unsure && at == c.position+1) {
		w.failf("%s is at position %d after a start, and was told %d", c.id(), at, c.position)
	}
}

// begin sends a step, a new one or again; false when the agent was killed.
func (c *simClient) begin() (alive bool) {
	w := c.w
	switch {
	case c.step != nil:
	case c.last != nil && w.chance(0.02):
		c.step, c.asking = c.last, true
	default:
		c.step, c.may = c.newStep(), nil
	}
	if !c.asking {
		c.expect()
	}
	return c.send()
}

// finish deals with the answer; false when the agent was killed.
func (c *simClient) finish() (alive bool) {
	w := c.w
	alive = true
	if c.progress == session.Judged {
		alive = w.survives(func() { c.answer, _, _ = c.conn.Stored(context.Background()) })
	}
	answer := c.answer
	if alive && !answer.Unknown {
		c.unsure = c.wasUnsure
	}
	switch {
	case !alive || answer.Unknown:
		c.lost(alive)
	case c.asking:
		c.sameAgain(answer)
	case slices.Contains(session.UndecidedReasons(), answer.Reply.Reason):
		c.acts = w.clock.now.Add(w.between(0, 500*time.Millisecond))
		if !c.unsure && w.chance(0.1) {
			c.step = nil // it was surely not judged: the client may send another
		}
	default:
		c.answered(answer)
	}
	return alive
}

// send sends the step; false when the agent was killed.
func (c *simClient) send() (alive bool) {
	w := c.w
	if c.conn != nil && w.chance(0.05) {
		c.conn.Close()
		c.conn = nil
	}
	if c.conn == nil {
		c.port++
		manager := w.manager
		if w.bucket != nil {
			c.agent = w.agents[w.random.IntN(len(w.agents))]
			manager = c.agent.manager
		}
		c.conn = manager.Connect(session.Peer{Addr: netip.AddrPortFrom(c.addr, c.port)})
	}
	w.sent++
	conn, req := c.conn, *c.step
	c.wasUnsure, c.unsure = c.unsure, !c.asking
	return w.survives(func() {
		if c.answer, c.progress = conn.Try(req, w.clock.now); c.progress == session.MustWait {
			c.answer = conn.Do(context.Background(), req, w.clock.now)
		}
	})
}

func (c *simClient) newStep() *protocol.Request {
	w := c.w
	req := step(int64(c.position) + 1)
	req.Session = c.name
	if c.position > 0 && w.chance(0.05) {
		req.StepID += 1000
	}
	if w.chance(0.5) {
		req.Interval = protocol.Seconds(w.between(0, 5*time.Second))
	}
	if c.name != "" {
		c.req++
		req.Req = protocol.NumReq(c.req)
	}
	return &req
}

// expect adds what may be said of the step that is sent now.
func (c *simClient) expect() {
	if c.arrived.IsZero() {
		c.arrived = c.w.clock.now
	}
	off := c.arrived.Sub(c.due) - slack
	switch {
	case c.step.StepID != int64(c.position)+1:
		c.may = append(c.may, protocol.OutOfOrder)
	case c.gapWrong || c.position > 0 && off.Abs() < 2*maxCommit:
		c.may = append(c.may, "", protocol.IntervalNotKept)
	case c.position == 0 || off < 0 || !c.gapKnown:
		c.may = append(c.may, "")
	case !c.gapUnknown:
		c.may = append(c.may, protocol.IntervalNotKept)
	default:
		c.may = append(c.may, "", protocol.IntervalNotKept)
	}
}

// lost is what the client does without an answer. Without a name it cannot know, and stays away.
func (c *simClient) lost(alive bool) {
	if alive {
		c.conn.Close()
		c.conn = nil
		c.acts = c.w.clock.now.Add(c.w.between(0, time.Second))
	}
	if c.name == "" {
		c.w.retire(c)
	}
}

// answered compares a verdict with the model and moves that on.
func (c *simClient) answered(answer session.Answer) {
	w, reply := c.w, answer.Reply
	switch {
	case !slices.Contains(c.may, reply.Reason):
		w.failf("%s: step %d at position %d: %q (%s), want one of %q; arrived %v after it was due, gap known %t, unknown %t",
			c.id(), c.step.StepID, c.position, reply.Reason, reply.Detail, c.may, c.arrived.Sub(c.due), c.gapKnown, c.gapUnknown)
	case answer.Replayed && !c.unsure:
		w.failf("%s: step %d is answered before it was judged", c.id(), c.step.StepID)
	case !answer.Replayed && answer.Trace.Position != c.position+1:
		w.failf("%s: step %d is at position %d, want %d", c.id(), c.step.StepID, answer.Trace.Position, c.position+1)
	case reply.End != (c.position+1 == w.options.Steps) || reply.Req != c.step.Req || *reply.StepID != c.step.StepID:
		w.failf("%s: step %d of %d: reply %+v", c.id(), c.position+1, w.options.Steps, reply)
	}
	c.position++
	c.waitFor(c.step.Interval.Duration)
	c.gapOld = answer.Replayed && w.failed
	if w.chance(0.1) {
		c.acts = c.acts.Add(w.between(0, 4*time.Second))
	}
	if c.last, c.said = nil, reply; c.name != "" {
		c.last = c.step
	}
	c.step, c.unsure = nil, false
	if reply.End {
		c.position = 0
	}
	if w.chance(0.01) {
		w.retire(c)
	}
}

// sameAgain compares the reply to the client's last request, sent once more, with the one before. The gap
// counts from then on, and with it the client waits.
func (c *simClient) sameAgain(answer session.Answer) {
	w, said := c.w, answer.Reply
	if w.bucket != nil && slices.Contains(session.UndecidedReasons(), answer.Reply.Reason) { // the agent had not read it
		c.acts = w.clock.now.Add(w.between(0, time.Second))
		return
	}
	if !answer.Replayed || said.Reason != c.said.Reason || said.End != c.said.End || *said.StepID != *c.said.StepID {
		w.failf("%s: the last request again: %+v, want %+v", c.id(), answer, c.said)
	}
	c.step, c.asking = nil, false
	c.waitFor(c.last.Interval.Duration)
	c.gapOld = w.failed
}

// waitFor lets the client wait before its next step.
func (c *simClient) waitFor(interval time.Duration) {
	c.due = c.w.clock.now.Add(interval)
	c.acts, c.arrived = c.due, time.Time{}
	c.gapKnown, c.gapUnknown, c.gapOld, c.gapWrong = true, false, false, false
	if c.w.bucket != nil {
		// The next agent may read the session when the client is late, or as it was before its last reply
		// was given again.
		c.gapUnknown, c.gapWrong = true, c.w.failed
	}
}
