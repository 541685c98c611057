package fleet

import (
	"slices"
	"strings"
	"testing"
)

// matches reports whether a subject matches a pattern with * for a word, as in NATS.
func matches(pattern, subject string) bool {
	words, others := strings.Split(pattern, "."), strings.Split(subject, ".")
	return slices.EqualFunc(words, others, func(word, other string) bool { return word == "*" || word == other })
}

// The stream has the results of every board and no request of control, also for boards that are named
// like a word of a subject.
func TestSubjectsOfTheStream(t *testing.T) {
	t.Parallel()
	for _, board := range []string{"board-7", "ctl", "all", "status", "reload", "step"} {
		for _, kind := range Kinds() {
			subject := Subject("lab", board, kind)
			fleet, gotBoard, gotKind, ok := Parse(subject)
			if !ok || fleet != "lab" || gotBoard != board || gotKind != kind {
				t.Errorf("%s is read as %s %s %s %t", subject, fleet, gotBoard, gotKind, ok)
			}
			if !slices.ContainsFunc(Subjects("lab"), func(pattern string) bool { return matches(pattern, subject) }) {
				t.Errorf("%s is not in the stream", subject)
			}
		}
		for _, subject := range []string{AllStatus("lab"), Status("lab", board), Reload("lab", board)} {
			if slices.ContainsFunc(Subjects("lab"), func(pattern string) bool { return matches(pattern, subject) }) {
				t.Errorf("%s is in the stream", subject)
			}
			if _, _, _, ok := Parse(subject); ok {
				t.Errorf("%s is read as a result", subject)
			}
		}
	}
	if got := AllStatus("lab"); got != "stepagent.1.lab.ctl.all.status" {
		t.Error(got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"", "stepagent.1", "stepagent.1.lab.b", "stepagent.1.lab.b.news", "stepagent.1.lab..step",
		"stepagent.2.lab.b.step", "stepagent.1.lab.b.step.more", "x.stepagent.1.lab.b.step"} {
		if _, _, _, ok := Parse(subject); ok {
			t.Errorf("%q is read as a result", subject)
		}
	}
}
