package verify

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An event is what an agent saw, in the order in which it did.
type event struct {
	at     time.Time
	dialog *dialog
	// step is judged; nil when the connection closes.
	step *exchange
}

// replay has every agent of the capture judge its steps again. Whether a step without a
// reply was judged, the packets do not say: it is taken to have been, unless the replies
// after it tell otherwise.
func (v *verifier) replay(ctx context.Context) {
	agents := map[netip.AddrPort][]*dialog{}
	var order []netip.AddrPort
	for _, d := range v.dialogs {
		if agents[d.agent] == nil {
			order = append(order, d.agent)
		}
		agents[d.agent] = append(agents[d.agent], d)
	}
	for _, agent := range order {
		v.settleUnknown(ctx, events(agents[agent]))
	}
	v.report.Agents = order
}

// maxGuesses is how many times an agent is replayed to find out what the packets do not say.
const maxGuesses = 128

// settleUnknown replays an agent, and once more for each step without a reply that fits
// better as one that was not judged, and for steps that may be missing.
func (v *verifier) settleUnknown(ctx context.Context, all []event) {
	g := &guesser{v: v, ctx: ctx, all: all, ends: sendsEnds(all)}
	v.replayOnce(ctx, all)
	g.wrong = g.mismatches()
	for _, ev := range all {
		if g.wrong == 0 || g.spent() {
			break
		}
		if ev.step == nil || ev.step.reply() != nil || ev.step.bad != nil {
			continue
		}
		ev.step.skipped = true
		if g.better() {
			continue
		}
		ev.step.skipped = false
		g.stale = true
	}
	g.refresh()
	g.findHidden()
	v.guessed = v.guessed || g.wrong > 0 && g.spent()
}

func (v *verifier) replayOnce(ctx context.Context, all []event) {
	clock := newClock()
	bench := &bench{judge: v.opts.Judge, expects: map[string]judge.Expectation{}, done: map[protocol.ReqID][]*exchange{}}
	m := session.NewManagerAt(clock, bench, v.opts.Session, slog.New(slog.DiscardHandler))
	conns := map[*dialog]*session.Conn{}
	for _, ev := range all {
		if ctx.Err() != nil {
			return // the report is not used
		}
		clock.advance(ev.at)
		conn := conns[ev.dialog]
		if conn == nil {
			conn = m.Connect(session.Peer{Addr: ev.dialog.client})
			conns[ev.dialog] = conn
		}
		if ev.step == nil {
			conn.Close()
			continue
		}
		e := ev.step
		e.session, e.asked, e.replayed, e.ends, e.position = "", false, false, false, 0
		for _, id := range e.hidden {
			bench.at = &exchange{dialog: e.dialog, request: protocol.Request{StepID: id, Session: e.request.Session}}
			conn.Do(ctx, bench.at.request, e.message.end.Time)
		}
		bench.at = e
		answer := conn.Do(ctx, e.request, e.message.end.Time)
		e.replayed, e.instead = answer.Replayed, answer.Reply
		e.ends = answer.Reply.End
		if answer.Replayed {
			bench.again(e)
		}
	}
	m.Close()
}

// A bench is where the validators are asked, and where it is noted what they say.
type bench struct {
	judge Judge
	at    *exchange
	// done are the steps that were judged, by their req, and expects is what each session has
	// to send next.
	done    map[protocol.ReqID][]*exchange
	expects map[string]judge.Expectation
}

// Judge asks the validators. A step that the agent refused for a fault of its own has not
// been judged, and takes no position; so it must be here.
func (b *bench) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	e := b.at
	e.session, e.position, e.asked = s.ID, s.Position+1, true
	e.seat, _, _ = strings.Cut(s.ID, "#")
	if e.request.Session != "" {
		e.seat = s.ID
	}
	if e.expected = b.expects[s.ID]; s.Position == 0 {
		e.expected = b.First()
	}
	e.now = b.judge.Judge(ctx, s, step)
	if !e.request.Req.IsZero() {
		b.done[e.request.Req] = append(b.done[e.request.Req], e)
	}
	if a := e.reply(); e.skipped || a != nil && a.reply.Reason.AgentsOwn() {
		return judge.Judgement{Outcome: validator.Undecided, Memory: s.Memory}
	}
	b.expects[s.ID] = e.now.Expects
	return e.now
}

// Try has nothing at hand.
func (b *bench) Try(judge.Session, judge.Step) (judge.Judgement, bool) {
	return judge.Judgement{}, false
}

func (b *bench) First() judge.Expectation { return b.judge.First() }

// again gives a repeated request the session of the one that it repeats.
func (b *bench) again(e *exchange) {
	for _, first := range slices.Backward(b.done[e.request.Req]) {
		if first.request.Session == e.request.Session {
			e.session, e.seat, e.position, e.now = first.session, first.seat, first.position, first.now
			return
		}
	}
}

// events returns what the agent of the dialogs saw. A step is judged when its reply is sent,
// and before the next one of its connection; one without a reply when it arrives.
func events(dialogs []*dialog) []event {
	var all []event
	for _, d := range dialogs {
		var steps []*exchange
		for _, e := range d.exchanges {
			if e.bad == nil {
				steps = append(steps, e)
			}
		}
		var limit time.Time
		for _, e := range slices.Backward(steps) {
			e.judgedAt = e.message.end.Time
			if a := e.reply(); a != nil {
				e.judgedAt = a.message.end.Time
			}
			if !limit.IsZero() && limit.Before(e.judgedAt) {
				e.judgedAt = limit
			}
			limit = e.judgedAt
		}
		last := d.conn.First.Time
		for _, e := range steps {
			if e.judgedAt.Before(last) {
				e.judgedAt = last
			}
			last = e.judgedAt
			all = append(all, event{at: last, dialog: d, step: e})
		}
		if closed := d.closed(); !closed.IsZero() {
			if closed.Before(last) {
				closed = last
			}
			all = append(all, event{at: closed, dialog: d})
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return a.at.Compare(b.at) })
	return all
}

// closed returns when the connection ended; zero when it did not.
func (d *dialog) closed() time.Time {
	var t time.Time
	for _, m := range []time.Time{d.up.FIN.Time, d.up.RST.Time, d.down.FIN.Time, d.down.RST.Time} {
		if !m.IsZero() && (t.IsZero() || m.Before(t)) {
			t = m
		}
	}
	return t
}
