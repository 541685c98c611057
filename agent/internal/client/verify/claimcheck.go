package verify

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

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

// NameClaims returns the claims that the name of a file contains, without those that it negates.
func NameClaims(path string) []Claim {
	words := strings.FieldsFunc(strings.ToLower(filepath.Base(path)), func(r rune) bool { return r < 'a' || r > 'z' })
	var claims []Claim
	for i, word := range words {
		if i > 0 && slices.Contains([]string{"no", "not", "without"}, words[i-1]) ||
			i+1 < len(words) && words[i+1] == "too" { // as in timeout_too_short
			continue
		}
		if slices.Contains(Claims(), Claim(word)) {
			claims = append(claims, Claim(word))
		}
	}
	return claims
}

const verdictWord = "verdict "

// CommentOf returns the closing comment of a capture that stepctl takes: the verdict of the run, a
// sentence about it, and the session, which may be empty.
func CommentOf(verdict, sentence, session string) string {
	if session != "" {
		session = " (session " + session + ")"
	}
	return verdictWord + verdict + ": " + strings.TrimPrefix(sentence, verdict+": ") + session
}

var (
	shaInComment     = regexp.MustCompile(`\(sha256 ([0-9a-f]{64})\)`)
	sessionInComment = regexp.MustCompile(`\(session ([ -~]{1,64})\)$`)
)

// parseComment parses a comment of CommentOf; ok is false for others.
func parseComment(comment string) (verdict, session string, ok bool) {
	rest, ok := strings.CutPrefix(comment, verdictWord)
	if !ok {
		return "", "", false
	}
	verdict, sentence, _ := strings.Cut(rest, ":")
	if found := sessionInComment.FindStringSubmatch(sentence); found != nil {
		session = found[1]
	}
	return verdict, session, true
}

// A claimCheck checks what the comments, the name and the options claim of the whole capture.
type claimCheck struct{ *evidence }

func (c *claimCheck) run() {
	for _, comment := range c.capture.Comments {
		if verdict, session, ok := parseComment(comment); ok {
			c.checkRunVerdict(verdict, session)
		}
		if found := shaInComment.FindStringSubmatch(comment); found != nil && c.opts.Procedure != nil && found[1] != c.opts.Procedure.SHA256 {
			c.report.Findings.Add(result.Fail, "comment", 0, "the comment names another step file than %s: its sha256 is %s", c.opts.Procedure.Name, found[1])
		}
	}
	c.checkClaims()
}

// checkRunVerdict checks the verdict of a run that a comment claims, of the session that it names.
func (c *claimCheck) checkRunVerdict(claimed, session string) {
	if session == "" && len(c.sessions) > 1 {
		return // the comment does not tell which
	}
	steps, passed, open := 0, 0, c.lossy
	for _, s := range c.sessions {
		if session != "" && s.ID != session {
			continue
		}
		open = open || s.mayLack || !s.sure || s.Findings.Verdict() == result.Inconclusive
		for _, step := range s.steps {
			if step.AgainIn != 0 {
				continue
			}
			steps++
			open = open || step.Outcome == result.Unanswered
			if step.Outcome == result.Passed {
				passed++
			}
		}
	}
	switch {
	case steps == 0:
		c.report.Findings.Add(result.Inconclusive, "comment", 0, "the comment says that a run is a %s, and no step of it is in the capture", claimed)
	case claimed == "pass" && passed < steps, claimed == "fail" && passed == steps:
		c.report.Findings.Add(result.FailUnless(open), "comment", 0, "the comment says that the run is a %s, and %d of %s passed",
			claimed, passed, phrase.Count(steps, "step"))
	}
}

// checkClaims checks the claims of the options.
func (c *claimCheck) checkClaims() {
	by := map[result.Outcome]int{}
	steps, failed, open := 0, 0, c.report.Findings.Verdict() == result.Inconclusive
	for _, s := range c.sessions {
		open = open || s.mayLack || s.Verdict == result.Inconclusive
		for _, step := range s.steps {
			if step.AgainIn != 0 {
				continue
			}
			by[step.Outcome]++
			steps++
			if !s.mayLack && step.Outcome != result.Passed && step.Outcome != result.Unanswered && step.Verdict != result.Inconclusive {
				failed++
			}
		}
	}
	open = open || steps == 0 || by[result.Unanswered] > 0
	for _, claim := range c.opts.Claims {
		shown, text := false, ""
		switch claim {
		case ClaimSuccess:
			shown, text = steps > 0 && by[result.Passed] == steps, "show success, and not every step passed"
			open = open && failed == 0 // what is missing cannot make a failed step pass
		case ClaimFailure:
			shown, text = steps > by[result.Passed]+by[result.Unanswered], "show a failure, and none is in it"
		case ClaimTimeout:
			shown, text = by[result.TimedOut]+by[result.Late] > 0, "show a timeout, and no timeout happened"
		}
		if !shown {
			c.report.Findings.Add(result.FailUnless(open), "claim", 0, "the capture is said to %s", text)
		}
	}
}
