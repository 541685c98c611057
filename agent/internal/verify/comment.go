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

var shaInComment = regexp.MustCompile(`\(sha256 ([0-9a-f]{64})\)`)

// comments judges what the comments of the capture claim.
func (v *verifier) comments() {
	for _, comment := range v.capture.Comments {
		if rest, ok := strings.CutPrefix(comment, verdictWord); ok {
			claimed, _, _ := strings.Cut(rest, ":")
			v.verdictClaim(claimed)
		}
		if found := shaInComment.FindStringSubmatch(comment); found != nil && v.opts.Procedure != nil && found[1] != v.opts.Procedure.SHA256 {
			v.report.find(Fail, "comment", 0, fmt.Sprintf("the comment names another step file than %s: its sha256 is %s", v.opts.Procedure.Name, found[1]))
		}
	}
}

// verdictClaim judges the verdict of a run that a comment claims.
func (v *verifier) verdictClaim(claimed string) {
	steps, passed, open := 0, 0, 0
	for _, s := range v.report.Sessions {
		for _, step := range s.Steps {
			steps++
			switch step.Outcome {
			case Passed:
				passed++
			case Unanswered:
				open++
			default:
			}
		}
	}
	switch {
	case claimed == "pass" && (steps == 0 || passed+open < steps), claimed == "fail" && steps > 0 && passed == steps:
		v.report.find(Fail, "comment", 0, fmt.Sprintf("the comment says that the run is a %s, and %d of %s passed", claimed, passed, count(steps, "step")))
	default: // what is undecided claims nothing
	}
}
