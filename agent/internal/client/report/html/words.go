package html

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Language is a language of pages.
type Language string

// The languages.
const (
	English Language = "en"
	Korean  Language = "ko"
)

// Languages returns the names of all languages.
func Languages() []string { return []string{string(English), string(Korean)} }

func (l Language) words() *words {
	if l == Korean {
		return korean()
	}
	return english()
}

// words is the catalogue: all wording of a page in one language. A test checks that no language
// lacks an entry. The comments name the arguments of entries that are formats.
type words struct {
	// The verdict in one sentence. Pass: total. Fail...: not passed, total. Stopped and Cut:
	// passed, total, not passed. Unreached: address.
	Pass, PassOne, Fail, FailStopped, FailCut, Stopped, Cut, Unreached, Nothing string
	// The mark of the verdict.
	Marks map[record.Verdict]string
	// Subtitle: procedure, address. When: time, duration.
	Title, Subtitle, When string
	Skip                  string

	Problems, ProblemsIntro string
	// The steps of one problem. More: count.
	ProblemSteps, ProblemNumbers, More string
	// OtherProblems: steps. StraysCut: strays that are shown.
	OtherProblems, StraysCut string
	// Late replies and strays, in the plural and the singular: count.
	LateReplies, LateReply, StrayMessages, StrayMessage string
	// Dropped: strays that were not kept.
	Dropped string

	Overview, OverviewTitle, OverviewCaption string
	// OverviewDesc: steps, passed, not passed, duration.
	OverviewDesc string
	Legend       string
	LegendReply, LegendRefused, LegendNone, LegendBroken, LegendLimit, LegendBeyond,
	LegendDeclared, LegendKept, LegendLate, LegendDuplicate string

	Steps, StepsCaption string
	// Group: first, last, passed, not passed.
	Group string
	// The columns.
	ColNumber, ColStep, ColResult, ColWhy, ColTime, ColTimeout, ColInterval, ColChart string
	// Of a long procedure. LongIntro: steps, steps of a range. Range: first, last.
	// FailedGroup: first, last, count. NotShown: count. Shortened: characters.
	LongIntro, RangesCaption, ColRange, ColPassed, ColRest, ColMedian, ColLongest, Range string
	AllSteps, FailedSteps, FailedCaption, FailedGroup, NotShown, Shortened               string
	// Scale: the end of the axis.
	Scale string
	// Results by outcome.
	Results map[record.Outcome]string
	// Fates say what happened to a step, by outcome.
	Fates map[record.Outcome]string
	// Reasons explain each reason in a sentence.
	Reasons       map[protocol.Reason]string
	UnknownReason string
	NoReason      string
	Quoted        string // introduces a detail as it was received
	// LateAfter: time. Again: index of the earlier step. Duplicates: count.
	LateAfter, Again, Duplicates string
	// Kept: the actual interval, which follows the declared one. NotKept: there was no wait.
	Kept, NotKept string
	// RowTitle: step id, result, time, timeout.
	RowTitle string

	Strays, StraysCaption, StrayKind, StrayAt, StrayDetail string
	StrayKinds                                             map[record.Stray]string

	// Where the time went, from both records. WhereSentence: replies, time waited.
	// WhereLacks: events.
	Where, WhereSentence, WhereLacks, WhereCaption, WherePart, WhereTime, WhereShare, WhereMeaning string
	WhereLink, WhereQueue, WhereValidators, WhereAgent, WhereFault, WhereIntervals, WhereClient    string
	MeansLink, MeansQueue, MeansValidators, MeansAgent, MeansFault, MeansIntervals, MeansClient    string
	BothViews, BothCaption, ColClient, ColAgent, AgentSilent, AgentPassed                          string
	// AgentRefused: reason. AgentRetried: further arrivals. AgentFault: kind of fault.
	AgentRefused, AgentRetried, AgentFault string

	About, Procedure, Checksum, Client, Agent, AgentUnknown, Host, Address, Session, NoSession,
	Started, Duration, Ending, Format string
	// Endings by cause; the empty cause is that of a record without an end.
	Endings map[record.Cause]string

	Glossary string
	Terms    []term
	Footer   string

	// Milliseconds and Seconds: number.
	Milliseconds, Seconds string
	// details translates details into the language; nil for English, in which they are written.
	details []translation
}

// A term is an entry of the glossary.
type term struct{ Word, Meaning string }

// Time formats a measured duration.
func (w *words) Time(d time.Duration) string {
	number, unit := phrase.Measure(d)
	if unit == "ms" {
		return fmt.Sprintf(w.Milliseconds, number)
	}
	return fmt.Sprintf(w.Seconds, number)
}

// Wait formats a declared duration without rounding it.
func (w *words) Wait(d time.Duration) string { return fmt.Sprintf(w.Seconds, phrase.Seconds(d)) }
