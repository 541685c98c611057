package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tally says in sentences what the steps come to.
func tally(steps []*Step) []string {
	by := map[Outcome][]string{}
	var slowest time.Duration
	answered := 0
	for _, s := range steps {
		if s.RepeatOf != 0 {
			continue
		}
		by[s.Outcome] = append(by[s.Outcome], strings.TrimPrefix(s.name(), "step "))
		if s.Reply != nil {
			answered++
			slowest = max(slowest, s.response)
		}
	}
	clauses := []string{fmt.Sprintf("%s, of which %d passed", count(len(steps), "step"), len(by[Passed]))}
	for _, o := range []struct {
		outcome Outcome
		what    string
	}{
		{Refused, "refused"}, {Unjudged, "not judged"}, {Late, "answered too late"}, {TimedOut, "not answered in time"},
		{Lost, "cut off"}, {Misanswered, "answered with something else"}, {Abandoned, "given up by the client"}, {Unanswered, "not seen to be answered"},
	} {
		switch ids := by[o.outcome]; len(ids) {
		case 0:
		case 1:
			clauses = append(clauses, fmt.Sprintf("step %s was %s", ids[0], o.what))
		default:
			clauses = append(clauses, fmt.Sprintf("steps %s were %s", named(ids), o.what))
		}
	}
	sentences := []string{strings.Join(clauses, "; ")}
	if len(by[TimedOut])+len(by[Late]) == 0 && answered > 0 {
		sentences = append(sentences, "no timeout happened: every reply came within "+span(slowest))
		if answered < len(steps) {
			sentences[1] = "no timeout is shown: every reply that came did so within " + span(slowest)
		}
	}
	return append(sentences, intervals(steps)...)
}

// maxNamed is how many steps one clause names; more are only counted.
const maxNamed = 8

func named(ids []string) string {
	if len(ids) > maxNamed {
		return list(append(slices.Clone(ids[:maxNamed-1]), fmt.Sprintf("%d more", len(ids)-maxNamed+1)))
	}
	return list(ids)
}

// intervals says how the declared intervals were kept.
func intervals(steps []*Step) []string {
	kept, twice, other := 0, 0, 0
	for _, s := range steps {
		if !s.hasGap || !s.hasWait {
			continue
		}
		wrong := false
		for _, f := range s.Findings {
			wrong = wrong || f.Code == "interval"
		}
		switch {
		case s.doubled() && (wrong || s.gap-s.interval > s.interval/2):
			twice++
		case wrong:
			other++
		default:
			kept++
		}
	}
	switch total := kept + twice + other; {
	case total == 0:
		return nil
	case twice == total && total > 1:
		return []string{fmt.Sprintf("every interval was waited twice: %d of %d", twice, total)}
	case kept == total:
		return []string{fmt.Sprintf("every interval was kept: %d of %d", kept, total)}
	case twice > 0:
		return []string{fmt.Sprintf("%d of %s were waited twice, %d were not kept otherwise", twice, count(total, "interval"), other)}
	default:
		return []string{fmt.Sprintf("%d of %s were not kept", other, count(total, "interval"))}
	}
}

// conclude makes one verdict of everything.
func (v *verifier) conclude() {
	r := v.report
	steps := 0
	for _, s := range r.Sessions {
		s.Summary = tally(s.Steps)
		r.Verdict = r.Verdict.and(s.Verdict)
		steps += len(s.Steps)
	}
	for _, s := range r.Outside {
		r.Verdict = r.Verdict.and(s.Verdict)
	}
	if steps+len(r.Outside) == 0 {
		r.find(Inconclusive, "nothing", 0, "no request to an agent is in the capture; if there should be one, name the agent's port with --port")
	}
	if r.Record != nil {
		r.Verdict = r.Verdict.and(r.Record.Verdict)
	}
	r.Verdict = r.Verdict.and(verdictOf(r.Findings))
	r.Summary = v.overall()
}

// overall says what the whole capture comes to.
func (v *verifier) overall() []string {
	var all []*Step
	for _, s := range v.report.Sessions {
		all = append(all, s.Steps...)
	}
	if len(all) == 0 {
		return []string{"there is no step in the capture"}
	}
	sentences := tally(all)
	if n := len(v.report.Sessions); n > 1 {
		sentences[0] = fmt.Sprintf("%s with %s", count(n, "session"), sentences[0])
	}
	return sentences
}
