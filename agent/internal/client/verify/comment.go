package verify

import (
	"regexp"
	"strconv"
	"strings"
)

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
	// countsInComment matches what report.Sentence says of each run but one that passed or sent nothing.
	countsInComment = regexp.MustCompile(`(interrupted: )?\b(\d{1,9}) of (\d{1,9}) steps? passed`)
)

// A claimedRun is what a comment of CommentOf says of a run.
type claimedRun struct {
	verdict, session string
	// passed and total count the steps; both are 0 if the comment has no counts.
	passed, total int
	interrupted   bool
}

// parseComment parses a comment of CommentOf; ok is false for others.
func parseComment(comment string) (run claimedRun, ok bool) {
	rest, ok := strings.CutPrefix(comment, verdictWord)
	if !ok {
		return claimedRun{}, false
	}
	verdict, sentence, _ := strings.Cut(rest, ":")
	run.verdict = verdict
	if found := sessionInComment.FindStringSubmatch(sentence); found != nil {
		run.session = found[1]
	}
	if found := countsInComment.FindStringSubmatch(sentence); found != nil {
		run.interrupted = found[1] != ""
		run.passed, _ = strconv.Atoi(found[2]) // nine digits at most
		run.total, _ = strconv.Atoi(found[3])
	}
	return run, true
}

// countsPassed reports whether the comment counts as many passed steps as the capture shows. The last reply
// may have come after an interruption.
func (r claimedRun) countsPassed(shown int) bool {
	return r.passed == shown || r.interrupted && r.passed == shown-1
}
