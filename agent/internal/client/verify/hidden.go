package verify

import (
	"context"
	"slices"
)

// A guesser replays an agent until what the packets do not say fits what they do.
type guesser struct {
	v     *verifier
	ctx   context.Context //nolint:containedctx // it is for one call
	all   []event
	ends  bool // the agent says which step is the last of a session
	wrong int  // replies that the replay does not explain
	tries int
	stale bool // the last replay was of a guess that was dropped
}

func (g *guesser) spent() bool { return g.tries >= maxGuesses || g.ctx.Err() != nil }

// better replays with a guess, and reports whether it explains more replies.
func (g *guesser) better() bool {
	g.tries++
	g.v.replayOnce(g.ctx, g.all)
	g.stale = false
	fewer := g.mismatches()
	if fewer >= g.wrong {
		return false
	}
	g.wrong = fewer
	return true
}

// mismatches counts the replies that are not what the agent would send now.
func (g *guesser) mismatches() int {
	n := 0
	for _, ev := range g.all {
		if ev.step != nil && g.wrongAt(ev.step) {
			n++
		}
	}
	return n
}

func (g *guesser) wrongAt(e *exchange) bool {
	return e.disagrees() != "" || e.refusedHere() || e.endsElsewhere(g.ends)
}

// refusedHere reports whether these rules refuse a step that the agent judged.
func (e *exchange) refusedHere() bool {
	a := e.reply()
	return a != nil && e.bad == nil && !e.asked && !e.replayed && !a.reply.Reason.AgentsOwn()
}

// endsElsewhere reports whether the agent ended the session at another step than the replay.
// ends says that it is an agent that tells.
func (e *exchange) endsElsewhere(ends bool) bool {
	a := e.reply()
	if a == nil || !e.asked || e.replayed || a.reply.Reason.AgentsOwn() {
		return false
	}
	return a.reply.End != e.ends && (a.reply.End || ends)
}

// sendsEnds reports whether the agent says which step is the last of a session; those older
// than protocol 1 do not.
func sendsEnds(all []event) bool {
	for _, ev := range all {
		if ev.step != nil && ev.step.reply() != nil && ev.step.reply().reply.End {
			return true
		}
	}
	return false
}

// findHidden looks for steps that were judged and are not in the capture: whole connections may
// be missing, also before the first. They are taken to have been those that explain the replies
// which come after them.
func (g *guesser) findHidden() {
	tried := map[*exchange]bool{}
	for g.wrong > 0 && !g.spent() {
		e := g.firstWrong(tried)
		if e == nil {
			return
		}
		tried[e] = true
		for _, h := range g.hypotheses(e) {
			if g.spent() {
				return
			}
			before := h.at.hidden
			h.at.hidden = slices.Concat(h.ids, before)
			if g.better() {
				break
			}
			h.at.hidden = before
			g.stale = true
		}
		g.refresh()
	}
}

// refresh replays without a guess that was dropped.
func (g *guesser) refresh() {
	if g.stale {
		g.v.replayOnce(g.ctx, g.all)
		g.stale = false
	}
}

// firstWrong returns the first step that is not explained, and not tried.
func (g *guesser) firstWrong(tried map[*exchange]bool) *exchange {
	for _, ev := range g.all {
		if ev.step != nil && !tried[ev.step] && g.wrongAt(ev.step) {
			return ev.step
		}
	}
	return nil
}

// A hypothesis is steps that are missing in front of another.
type hypothesis struct {
	at  *exchange
	ids []int64
}

// hypotheses returns what may explain the reply to a step: that all steps up to it are missing,
// in front of it or of the first of its session; that the session before it had its last steps;
// that the one before it is missing.
func (g *guesser) hypotheses(e *exchange) []hypothesis {
	if e.bad != nil {
		return nil
	}
	id, most := e.request.StepID, int64(g.v.opts.Session.Steps)
	first := g.v.opts.Judge.First()
	var all []hypothesis
	if expected := e.expected; expected.Known && e.asked {
		if missing := id - expected.StepID; missing > 0 && missing < most {
			if start := g.startOf(e); start != e && first.Known && start.request.StepID != first.StepID {
				all = append(all, hypothesis{start, ids(first.StepID, missing)})
			}
			all = append(all, hypothesis{e, ids(expected.StepID, missing)})
		}
		if missing := most - int64(e.position) + 1; first.Known && id == first.StepID && e.position > 1 {
			all = append(all, hypothesis{e, ids(expected.StepID, missing)})
		}
	}
	return append(all, hypothesis{e, []int64{id - 1}})
}

// startOf returns the first step of the session of a step.
func (g *guesser) startOf(e *exchange) *exchange {
	for _, ev := range g.all {
		if ev.step != nil && ev.step.session == e.session {
			return ev.step
		}
	}
	return e
}

// ids returns n numbers from one on.
func ids(from, n int64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = from + int64(i)
	}
	return all
}
