package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An explanation says why a step did not simply pass.
type explanation struct {
	Reason    string // the machine-readable reason
	Sentences []string
	Quote     string // the detail as it was received, where it has no translation
}

// An explainer explains the steps of one run.
type explainer struct {
	words      *words
	duplicates map[int][]record.Event // further replies, by the step's index
	retries    map[int]int            // the earlier step, which did not pass, by the index of its retry
}

func newExplainer(w *words, run record.Run) explainer {
	e := explainer{words: w, duplicates: map[int][]record.Event{}, retries: retries(run.Steps)}
	for _, s := range run.Strays {
		if s.Stray == record.StrayDuplicate && s.Index > 0 {
			e.duplicates[s.Index] = append(e.duplicates[s.Index], s)
		}
	}
	return e
}

// retries maps steps to the last earlier step with the same step_id, if that did not pass.
func retries(steps []record.StepResult) map[int]int {
	last, retries := map[int64]int{}, map[int]int{}
	for _, s := range steps {
		if at := last[s.StepID]; at > 0 && s.Outcome != record.NotRun && steps[at-1].Outcome != record.Passed {
			retries[s.Index] = at
		}
		last[s.StepID] = s.Index
	}
	return retries
}

func (e explainer) step(s record.StepResult) (x explanation) {
	w := e.words
	add := func(sentence string) { x.Sentences = append(x.Sentences, sentence) }
	switch s.Outcome {
	case record.Passed:
	case record.NotRun, record.Unanswered:
		add(w.Fates[s.Outcome])
	default:
		x.Reason = w.shorten(string(s.Reason))
		add(w.explain(s.Reason))
	}
	if s.Detail != "" && s.Outcome != record.TimedOut { // a timeout's detail repeats the reason
		var translated string
		if translated, x.Quote = w.translateOrQuote(s.Detail); translated != "" {
			add(translated)
		}
	}
	x.Sentences = append(x.Sentences, w.retried(s)...)
	if s.Late != nil {
		add(fmt.Sprintf(w.LateAfter, w.Time(s.Late.Took)))
	}
	if n := len(e.duplicates[s.Index]); n > 0 {
		add(fmt.Sprintf(w.Duplicates, n))
	}
	if at := e.retries[s.Index]; at > 0 {
		add(fmt.Sprintf(w.Again, at))
	}
	return x
}

func (w *words) explain(reason protocol.Reason) string {
	if reason == "" {
		return w.NoReason
	}
	if sentence, ok := w.Reasons[reason]; ok {
		return sentence
	}
	return w.UnknownReason
}

// A problem is one way in which steps did not pass.
type problem struct {
	Class, Reason, Sentence string
	Steps                   []*record.StepResult // those that are named
	More                    string               // how many more there are; empty for none
}

const (
	// maxProblems is how many problems are told apart; an agent may send any reason.
	maxProblems = 20
	// maxNamedSteps is how many steps of one problem are named.
	maxNamedSteps = 40
)

// problems returns the ways in which steps did not pass, in order of occurrence.
func problems(w *words, steps []record.StepResult) []problem {
	var all []problem
	found, others := report.Problems(steps, maxProblems)
	for _, f := range found {
		all = append(all, newProblem(w, f, maxNamedSteps))
	}
	if others > 0 {
		all = append(all, problem{Class: "b", Sentence: fmt.Sprintf(w.OtherProblems, others)})
	}
	return all
}

// newProblem returns a problem that names at most limit of its steps.
func newProblem(w *words, f report.Problem, limit int) problem {
	class, _ := htmlkit.Look(f.Outcome)
	p := problem{Class: class, Sentence: w.Fates[f.Outcome], Steps: f.Steps}
	if f.Outcome == record.Failed {
		p.Reason = w.shorten(string(f.Reason))
		p.Sentence += " " + w.explain(f.Reason)
	}
	if n := len(f.Steps) - limit; n > 0 {
		p.Steps, p.More = f.Steps[:limit], fmt.Sprintf(w.More, n)
	}
	return p
}

// extras reports late replies and strays, one sentence for each.
func extras(w *words, run record.Run) []string {
	var extras []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			extras = append(extras, fmt.Sprintf(one, n))
		case n > 1:
			extras = append(extras, fmt.Sprintf(many, n))
		}
	}
	add(report.LateReplies(run), w.LateReply, w.LateReplies)
	add(run.Unasked(), w.StrayMessage, w.StrayMessages)
	if run.Dropped > 0 {
		extras[len(extras)-1] += " " + fmt.Sprintf(w.Dropped, run.Dropped)
	}
	return extras
}

// A stray is a message that answers no request.
type stray struct {
	record.Event
	Kind, At, Translated, Quote string
}

// maxStrays is how many strays the table has; the sentence counts them all.
const maxStrays = 256

// strays returns the messages that answer no request, and the caption of their table.
func strays(w *words, run record.Run) (all []stray, caption string) {
	for _, e := range run.Strays[:min(len(run.Strays), maxStrays)] {
		s := stray{Event: e, Kind: w.StrayKinds[e.Stray], At: w.Time(e.At)}
		s.Translated, s.Quote = w.translateOrQuote(e.Detail)
		all = append(all, s)
	}
	if len(all) < run.Unasked() {
		return all, w.StraysCaption + " " + fmt.Sprintf(w.StraysCut, len(all))
	}
	return all, w.StraysCaption
}
