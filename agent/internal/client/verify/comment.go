package verify

import (
	"fmt"
	"regexp"
	"strings"
)

// What stepctl writes into the captures that it takes itself. The comments claim something,
// and what they claim is checked.

const verdictWord = "verdict "

// CommentOf returns the comment that closes a capture of a run: its verdict, the same in one
// sentence, and the session, which is empty when the client named none.
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

// parseComment takes the comment apart that CommentOf makes; false when it is another.
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

// comments judges what the comments of the capture claim.
func (v *verifier) comments() {
	for _, comment := range v.capture.Comments {
		if verdict, session, ok := parseComment(comment); ok {
			v.verdictClaim(verdict, session)
		}
		if found := shaInComment.FindStringSubmatch(comment); found != nil && v.opts.Procedure != nil && found[1] != v.opts.Procedure.SHA256 {
			v.report.find(Fail, "comment", 0, fmt.Sprintf("the comment names another step file than %s: its sha256 is %s", v.opts.Procedure.Name, found[1]))
		}
	}
}

// verdictClaim judges the verdict of a run that a comment claims: of the session that it
// names, or else of all.
func (v *verifier) verdictClaim(claimed, session string) {
	steps, passed, open := 0, 0, v.lossy
	if session == "" && len(v.report.Sessions) > 1 {
		return // whose run it was, it does not say
	}
	for _, s := range v.report.Sessions {
		if session != "" && s.ID != session {
			continue
		}
		open = open || s.doubt || !s.sure || verdictOf(s.Findings) == Inconclusive
		for _, step := range s.Steps {
			steps++
			open = open || step.Outcome == Unanswered
			if step.Outcome == Passed {
				passed++
			}
		}
	}
	verdict := Fail
	if open {
		verdict = Inconclusive
	}
	switch {
	case steps == 0:
		v.report.find(Inconclusive, "comment", 0, fmt.Sprintf("the comment says that a run is a %s, and no step of it is in the capture", claimed))
	case claimed == "pass" && passed < steps, claimed == "fail" && passed == steps:
		v.report.find(verdict, "comment", 0, fmt.Sprintf("the comment says that the run is a %s, and %d of %s passed", claimed, passed, count(steps, "step")))
	default: // what is undecided claims nothing
	}
}
