package verify

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// name is a step for people.
func (s *Step) name() string {
	if s.StepID == nil {
		return "a message without a step id"
	}
	return "step " + strconv.FormatInt(*s.StepID, 10)
}

// sentence says what became of a step.
func (v *verifier) sentence(s *Step) string {
	name, in := s.name(), span(s.response)
	if s.RepeatOf != 0 {
		name += fmt.Sprintf(", asked again as in packet %d,", s.RepeatOf)
	}
	switch s.Outcome {
	case Passed:
		return fmt.Sprintf("%s passed: the reply came after %s", name, in)
	case Refused:
		return fmt.Sprintf("%s was refused %s after %s; no timeout happened", name, refusedFor(s), in)
	case Unjudged:
		return fmt.Sprintf("%s was not judged: the agent said %s after %s", name, s.Reason, in)
	case Late:
		return fmt.Sprintf("%s timed out after %s: the reply came %s after the request, too late", name, declared(s.timeout), in)
	case TimedOut:
		return fmt.Sprintf("%s timed out: no reply came within %s%s", name, declared(s.timeout), v.silence(s))
	case Lost:
		how := "closed"
		if !s.exchange.dialog.down.RST.IsZero() {
			how = "reset"
		}
		return fmt.Sprintf("%s got no reply: the agent %s the connection after %s", name, how, span(s.after))
	case Abandoned:
		return fmt.Sprintf("%s got no reply: the client %s after %s", name, s.gaveUp, span(s.after))
	case Misanswered:
		return fmt.Sprintf("%s got a reply that is none to it, after %s", name, in)
	default:
		return name + ": what became of it is not in the capture"
	}
}

// silence says how long nothing came, as far as there is more than the timeout of it.
func (v *verifier) silence(s *Step) string {
	if ended := s.exchange.dialog.closed(); !ended.IsZero() {
		return fmt.Sprintf(", nor until the connection closed after %s", span(ended.Sub(s.exchange.message.begin.Time)))
	}
	return fmt.Sprintf(", nor in the %s until the capture ends", span(v.observedUntil().Sub(s.exchange.message.begin.Time)))
}

// refusedFor says why a step was refused, by the agent's word or, where it gives none, by
// that of the validators.
func refusedFor(s *Step) string {
	reason := protocol.Reason(s.Reason)
	if reason == "" && s.Now != nil {
		reason = protocol.Reason(s.Now.Reason)
	}
	switch reason {
	case protocol.OutOfOrder:
		return "as out of order"
	case protocol.TimeoutTooShort:
		return "for its declared timeout"
	case protocol.IntervalNotKept:
		return "for an interval that was not kept"
	case protocol.RuleBroken:
		return "for a rule that it broke"
	case protocol.BadRequest:
		return "as a bad request"
	case protocol.BadMessage:
		return "as no message"
	case "":
		return "without a reason"
	default:
		return "with " + string(reason)
	}
}

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

// A Claim is what a capture is said to show as a whole.
type Claim string

// The claims.
const (
	// ClaimSuccess: every step passed.
	ClaimSuccess Claim = "success"
	// ClaimFailure: a step was refused.
	ClaimFailure Claim = "failure"
	// ClaimTimeout: a step was not answered within its timeout.
	ClaimTimeout Claim = "timeout"
)

// Claims returns every claim.
func Claims() []Claim { return []Claim{ClaimSuccess, ClaimFailure, ClaimTimeout} }

// NameClaims returns what the name of a file claims: one that is called after success, failure
// or timeout is said to show it.
func NameClaims(path string) []Claim {
	words := strings.FieldsFunc(strings.ToLower(filepath.Base(path)), func(r rune) bool { return r < 'a' || r > 'z' })
	var claims []Claim
	for i, word := range words {
		if i > 0 && (words[i-1] == "no" || words[i-1] == "not" || words[i-1] == "without") ||
			i+1 < len(words) && words[i+1] == "too" { // as in timeout_too_short
			continue
		}
		for _, c := range Claims() {
			if word == string(c) {
				claims = append(claims, c)
			}
		}
	}
	return claims
}

// claims judges what the capture is said to show.
func (v *verifier) claims() {
	by := map[Outcome]int{}
	steps := 0
	for _, s := range v.report.Sessions {
		for _, step := range s.Steps {
			by[step.Outcome]++
			steps++
		}
	}
	open := by[Unanswered] > 0 || len(v.report.Findings) > 0 && verdictOf(v.report.Findings) == Inconclusive
	for _, claim := range v.opts.Claims {
		shown, text := false, ""
		switch claim {
		case ClaimSuccess:
			shown, text = steps > 0 && by[Passed] == steps, "is said to show success, and not every step passed"
		case ClaimFailure:
			shown, text = steps > by[Passed]+by[Unanswered], "is said to show a failure, and none is in it"
		case ClaimTimeout:
			shown, text = by[TimedOut]+by[Late] > 0, "is said to show a timeout, and no timeout happened"
		}
		if shown {
			continue
		}
		verdict := Fail
		if open {
			verdict = Inconclusive
		}
		v.report.find(verdict, "claim", 0, "the capture "+text)
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
