package verify

import (
	"path/filepath"
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

// A claimCheck checks what the comments, the name and the options claim of the whole capture.
type claimCheck struct{ *evidence }

func (c *claimCheck) run() {
	for _, comment := range c.capture.Comments {
		if run, ok := parseComment(comment); ok {
			c.checkRunVerdict(run)
		}
		if found := shaInComment.FindStringSubmatch(comment); found != nil && c.opts.Procedure != nil && found[1] != c.opts.Procedure.SHA256 {
			c.report.Findings.Add(result.Fail, "comment", 0, "the comment names another step file than %s: its sha256 is %s", c.opts.Procedure.Name, found[1])
		}
	}
	c.checkClaims()
}

// checkRunVerdict checks the verdict of a run that a comment claims, of the session that it names.
func (c *claimCheck) checkRunVerdict(claimed claimedRun) {
	if claimed.session == "" && len(c.sessions) > 1 {
		return // the comment does not tell which
	}
	steps, passed, open := 0, 0, c.lossy
	for _, s := range c.sessions {
		if claimed.session != "" && s.ID != claimed.session {
			continue
		}
		open = open || s.mayLack || !s.sure || s.Findings.Verdict() == result.Inconclusive
		for _, step := range s.steps {
			if step.AgainIn != 0 {
				continue
			}
			steps++
			open = open || step.Outcome == result.Unanswered || step.Verdict == result.Inconclusive
			if step.Outcome == result.Passed {
				passed++
			}
		}
	}
	contradicts := false
	switch claimed.verdict {
	case "pass":
		contradicts = passed < steps
	case "fail":
		contradicts = passed == steps && (passed >= c.mostSteps(claimed) || !claimed.countsPassed(passed))
		open = open || claimed.passed > passed // the others may be of a capture before a resumption
	}
	switch {
	case steps == 0:
		c.report.Findings.Add(result.Inconclusive, "comment", 0, "the comment says that a run is a %s, and no step of it is in the capture", claimed.verdict)
	case contradicts:
		c.report.Findings.Add(result.FailUnless(open), "comment", 0, "the comment says that the run is a %s, and %d of %s passed",
			claimed.verdict, passed, phrase.Count(steps, "step"))
	}
}

// mostSteps returns how many steps the run of a comment had at most, by the comment itself, the procedure and
// the record.
func (c *claimCheck) mostSteps(claimed claimedRun) int {
	most := claimed.total
	if p := c.opts.Procedure; p != nil {
		most = min(most, len(p.Steps))
	}
	if r := c.recordedRun; r != nil && r.Start.Session == claimed.session {
		most = min(most, len(r.Steps))
	}
	return most
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
