package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A why is what there is to say of a step that is not simply passed.
type why struct {
	// Reason is the machine-readable word; Sentences say it for people.
	Reason    string
	Sentences []string
	// Quote is what somebody said in words of their own.
	Quote string
}

// Why says of a step what there is to say.
func (v view) Why(step record.StepResult) why {
	var y why
	w := v.Words
	switch step.Outcome {
	case record.Passed:
	case record.NotRun, record.Unanswered:
		y.Sentences = append(y.Sentences, w.Fates[step.Outcome])
	default:
		y.Reason = w.shorten(string(step.Reason))
		y.Sentences = append(y.Sentences, w.explain(step.Reason))
	}
	if step.Detail != "" && step.Outcome != record.TimedOut { // its detail says what the reason says
		said, quote := w.quotable(w.shorten(step.Detail))
		if said != "" {
			y.Sentences = append(y.Sentences, said)
		}
		y.Quote = quote
	}
	if step.Late != nil {
		y.Sentences = append(y.Sentences, fmt.Sprintf(w.LateAfter, v.Time(step.Late.Took)))
	}
	if n := len(v.again[step.Index]); n > 0 {
		y.Sentences = append(y.Sentences, fmt.Sprintf(w.Duplicates, n))
	}
	if at := v.previous[step.Index]; at > 0 {
		y.Sentences = append(y.Sentences, fmt.Sprintf(w.Again, at))
	}
	return y
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

// A problem is a way in which steps did not pass.
type problem struct {
	Class, Reason, Sentence string
	Indexes                 []step
	More                    string
	key                     string
	left                    int
}

type step struct {
	Index int
	ID    int64
}

const (
	// maxProblems is how many ways are told apart, as the agent may send any reason.
	maxProblems = 20
	// maxNamedSteps is how many steps of one problem are named.
	maxNamedSteps = 40
)

// Problems are the ways in which steps did not pass, in the order in which they came up.
func (v view) Problems() []*problem {
	var all []*problem
	others := 0
	byKey := map[string]*problem{}
	for _, s := range v.Run.Steps {
		if s.Outcome == record.Passed {
			continue
		}
		p := &problem{Class: class(s.Outcome), Sentence: v.Words.Fates[s.Outcome], key: s.Outcome.String()}
		if s.Outcome == record.Failed {
			p.Reason = v.Words.shorten(string(s.Reason))
			p.Sentence += " " + v.Words.explain(s.Reason)
			p.key += " " + string(s.Reason)
		}
		known := byKey[p.key]
		if known == nil {
			if len(all) == maxProblems {
				others++
				continue
			}
			known = p
			byKey[p.key], all = p, append(all, p)
		}
		if len(known.Indexes) < maxNamedSteps {
			known.Indexes = append(known.Indexes, step{s.Index, s.StepID})
		} else {
			known.left++
		}
	}
	for _, p := range all {
		if p.left > 0 {
			p.More = fmt.Sprintf(v.Words.More, p.left)
		}
	}
	if others > 0 {
		all = append(all, &problem{Class: "b", Sentence: fmt.Sprintf(v.Words.OtherProblems, others)})
	}
	return all
}

// Extras tell of what came besides the replies that were waited for.
func (v view) Extras() []string {
	late := 0
	for _, s := range v.Run.Steps {
		if s.Late != nil {
			late++
		}
	}
	var extras []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			extras = append(extras, fmt.Sprintf(one, n))
		case n > 1:
			extras = append(extras, fmt.Sprintf(many, n))
		}
	}
	add(late, v.Words.LateReply, v.Words.LateReplies)
	add(v.Run.Unasked(), v.Words.StrayMessage, v.Words.StrayMessages)
	if last := len(extras) - 1; v.Run.Dropped > 0 {
		extras[last] += " " + fmt.Sprintf(v.Words.Dropped, v.Run.Dropped)
	}
	return extras
}

// A stray is a message that answers nothing.
type stray struct {
	Kind, At, Value, Said, Quote string
	Step                         int
}

// maxStrays is how many strays the page tells; the sentence counts them all.
const maxStrays = 256

// StraysCaption says what the table of strays has.
func (v view) StraysCaption() string {
	if shown := min(len(v.Run.Strays), maxStrays); shown < v.Run.Unasked() {
		return v.Words.StraysCaption + " " + fmt.Sprintf(v.Words.StraysCut, shown)
	}
	return v.Words.StraysCaption
}

// Strays are the messages that answer nothing.
func (v view) Strays() []stray {
	var all []stray
	for _, e := range v.Run.Strays[:min(len(v.Run.Strays), maxStrays)] {
		s := stray{Kind: v.Words.StrayKinds[e.Stray], At: v.Time(e.At), Value: v.Value(e.At), Step: e.Index}
		s.Said, s.Quote = v.Words.quotable(v.Words.shorten(e.Detail))
		all = append(all, s)
	}
	return all
}

// repeats finds the steps that were tried again: their step_id came before and did not pass.
func repeats(steps []record.StepResult) map[int]int {
	last, previous := map[int64]int{}, map[int]int{}
	for _, s := range steps {
		if at := last[s.StepID]; at > 0 && s.Outcome != record.NotRun && steps[at-1].Outcome != record.Passed {
			previous[s.Index] = at
		}
		last[s.StepID] = s.Index
	}
	return previous
}

// duplicates sorts the further replies by the step that they belong to.
func duplicates(strays []record.Event) map[int][]record.Event {
	again := map[int][]record.Event{}
	for _, e := range strays {
		if e.Stray == record.StrayDuplicate && e.Index > 0 {
			again[e.Index] = append(again[e.Index], e)
		}
	}
	return again
}
