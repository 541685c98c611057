package result

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// Summarize returns sentences about steps: how many had which outcome, and whether timeouts
// and intervals were kept.
func Summarize(steps []*Step) []string {
	by := map[Outcome][]string{}
	slowest := 0.0
	answered, again := 0, map[int]bool{} // the packets of requests that were sent again
	for _, s := range steps {
		again[s.AgainIn] = true
	}
	total := len(steps)
	for _, s := range steps {
		if s.AgainIn != 0 {
			total--
			continue
		}
		if s.RepeatOf != 0 && !again[s.Request.Packet] {
			continue
		}
		by[s.Outcome] = append(by[s.Outcome], strings.TrimPrefix(s.Name(), "step "))
		if s.Reply != nil {
			answered++
			slowest = max(slowest, *s.Response)
		}
	}
	clauses := []string{fmt.Sprintf("%s, of which %d passed", phrase.Count(total, "step"), len(by[Passed]))}
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
			clauses = append(clauses, fmt.Sprintf("steps %s were %s", nameSome(ids), o.what))
		}
	}
	sentences := []string{strings.Join(clauses, "; ")}
	if len(by[TimedOut])+len(by[Late]) == 0 && answered > 0 {
		text := "no timeout happened: every reply came within "
		if answered < total {
			text = "no timeout is shown: every reply that came did so within "
		}
		sentences = append(sentences, text+phrase.Span(duration(slowest)))
	}
	return append(sentences, intervals(steps)...)
}

// maxNamed is how many steps one clause names; the others are counted.
const maxNamed = 8

func nameSome(ids []string) string {
	if len(ids) > maxNamed {
		return phrase.List(append(slices.Clone(ids[:maxNamed-1]), fmt.Sprintf("%d more", len(ids)-maxNamed+1)))
	}
	return phrase.List(ids)
}

// intervals tells how many of the declared intervals were kept.
func intervals(steps []*Step) []string {
	kept, twice, other := 0, 0, 0
	for _, s := range steps {
		if s.Gap == nil || s.Interval == nil {
			continue
		}
		wrong := slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.Code == "interval" })
		gap, interval := duration(*s.Gap), duration(*s.Interval)
		switch {
		case Doubled(gap, interval) && (wrong || gap-interval > interval/2):
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
		return []string{fmt.Sprintf("%d of %s were waited twice, %d were not kept otherwise", twice, phrase.Count(total, "interval"), other)}
	default:
		return []string{fmt.Sprintf("%d of %s were not kept", other, phrase.Count(total, "interval"))}
	}
}

// Doubled reports whether a gap is twice its interval, within a tenth and the delays of a computer.
func Doubled(gap, interval time.Duration) bool {
	const delays = 30 * time.Millisecond
	off := gap - 2*interval
	return interval > 0 && off > -interval/10 && off < max(interval/5, delays)
}

// duration converts the seconds of a report, to the nanosecond.
func duration(seconds float64) time.Duration { return time.Duration(math.Round(seconds * 1e9)) }
