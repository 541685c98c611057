package verify

import (
	"path/filepath"
	"strings"
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
	steps, failed, open := 0, 0, verdictOf(v.report.Findings) == Inconclusive
	for _, s := range v.report.Sessions {
		open = open || s.doubt || s.Verdict == Inconclusive
		for _, step := range s.Steps {
			by[step.Outcome]++
			steps++
			if !s.doubt && step.Outcome != Passed && step.Outcome != Unanswered && step.Verdict != Inconclusive {
				failed++
			}
		}
	}
	open = open || steps == 0 || by[Unanswered] > 0
	for _, claim := range v.opts.Claims {
		shown, text := false, ""
		switch claim {
		case ClaimSuccess:
			shown, text = steps > 0 && by[Passed] == steps, "is said to show success, and not every step passed"
			open = open && failed == 0 // what is there did not pass, whatever is missing
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
