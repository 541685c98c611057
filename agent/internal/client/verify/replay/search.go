package replay

import (
	"context"
	"slices"
)

// maxReplays bounds how often an agent is replayed to find what the packets leave open.
const maxReplays = 128

// A search replays an agent with assumptions about what the packets leave open, and keeps an
// assumption that leaves fewer replies unexplained.
type search struct {
	*agentReplay
	ctx         context.Context //nolint:containedctx // the search is one call
	marks       bool            // the agent marks the last step of a session; older ones do not
	unexplained int             // replies, by the best replay
	replays     int
	stale       bool // the last replay was of an assumption that was dropped
}

func newSearch(ctx context.Context, agent *agentReplay) *search {
	s := &search{agentReplay: agent, ctx: ctx}
	s.marks = slices.ContainsFunc(agent.events, func(ev event) bool {
		return ev.step != nil && ev.step.Reply() != nil && ev.step.Reply().End
	})
	s.run(ctx)
	s.unexplained = s.countUnexplained()
	return s
}

func (s *search) exhausted() bool { return s.replays >= maxReplays || s.ctx.Err() != nil }

// improves replays with an assumption and reports whether fewer replies are unexplained.
func (s *search) improves() bool {
	s.replays++
	s.run(s.ctx)
	n := s.countUnexplained()
	if s.stale = n >= s.unexplained; s.stale {
		return false
	}
	s.unexplained = n
	return true
}

func (s *search) countUnexplained() int {
	n := 0
	for _, ev := range s.events {
		if ev.step != nil && !ev.step.Explained(s.marks) {
			n++
		}
	}
	return n
}

// refresh replays once more after an assumption that was dropped.
func (s *search) refresh() {
	if s.stale {
		s.run(s.ctx)
		s.stale = false
	}
}

// findSkipped finds steps without a reply that the agent did not judge: by default it did.
func (s *search) findSkipped() {
	for _, ev := range s.events {
		if s.unexplained == 0 || s.exhausted() {
			break
		}
		if ev.step == nil || ev.step.Reply() != nil {
			continue
		}
		ev.step.Skipped = true
		ev.step.Skipped = s.improves()
	}
	s.refresh()
}

// findHidden finds steps that were judged and are not in the capture, such as those of whole
// connections that it lacks.
func (s *search) findHidden() {
	tried := map[*Step]bool{}
	for s.unexplained > 0 && !s.exhausted() {
		i := slices.IndexFunc(s.events, func(ev event) bool {
			return ev.step != nil && !tried[ev.step] && !ev.step.Explained(s.marks)
		})
		if i < 0 {
			return
		}
		step := s.events[i].step
		tried[step] = true
		for _, h := range s.hypotheses(step) {
			if s.exhausted() {
				return
			}
			before := h.at.Hidden
			h.at.Hidden = slices.Concat(h.ids, before)
			if s.improves() {
				break
			}
			h.at.Hidden = before
		}
		s.refresh()
	}
}

// A hypothesis is steps that are missing before another.
type hypothesis struct {
	at  *Step
	ids []int64
}

// hypotheses returns what may explain the reply to a step: all steps up to it are missing, before
// it or before the first of its session; the session before it had its last steps; or the one
// step before it is missing.
func (s *search) hypotheses(step *Step) []hypothesis {
	id, most := step.Request.StepID, int64(s.opts.Steps)
	first := s.validators.First()
	var all []hypothesis
	if expected := step.expected; expected.Known && step.Asked {
		if missing := id - expected.StepID; missing > 0 && missing < most {
			if start := s.firstOf(step.Session); start != step && first.Known && start.Request.StepID != first.StepID {
				all = append(all, hypothesis{start, countUp(first.StepID, missing)})
			}
			all = append(all, hypothesis{step, countUp(expected.StepID, missing)})
		}
		if missing := most - int64(step.Position) + 1; first.Known && id == first.StepID && step.Position > 1 {
			all = append(all, hypothesis{step, countUp(expected.StepID, missing)})
		}
	}
	return append(all, hypothesis{step, []int64{id - 1}})
}

// firstOf returns the first step of a session.
func (s *search) firstOf(session string) *Step {
	return s.events[slices.IndexFunc(s.events, func(ev event) bool {
		return ev.step != nil && ev.step.Session == session
	})].step
}

// countUp returns n numbers, beginning at from.
func countUp(from, n int64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = from + int64(i)
	}
	return all
}
