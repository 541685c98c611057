package session_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// request draws a step for a slot in which wants must come.
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
	if p := m.slots[m.find(c, name)]; p.open() {
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
		w.calm(calmForAll)
		req, o := w.request(name, w.wants(c, name))
		m := w.first()
		var patience time.Duration
		if name == "" && m.conns[c].own == "" {
			patience = options.TakeoverWait
			if len(w.left(m, m.conns[c].from)) > 0 {
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

// send sends the step. It waits for its slot for up to patience.
func (w *world) send(c int, req protocol.Request, o order, patience time.Duration) {
	w.Helper()
	arrived := time.Now()
	answer := w.way()(w.conns[c].Conn, req)
	w.answered(call{conn: c, req: req, order: o, arrived: arrived}, answer, patience)
}

// way draws how a request is sent.
func (w *world) way() way {
	if rapid.Bool().Draw(w.T, "by Do alone") {
		return doWaiting
	}
	return do
}

func (w *world) answered(c call, answer session.Answer, patience time.Duration) {
	w.Helper()
	took := time.Since(c.arrived)
	judged := !answer.Replayed && answer.Reply.Reason != protocol.Busy && answer.Reply.Reason != protocol.BadRequest
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
