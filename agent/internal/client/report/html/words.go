package html

import (
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Language is one in which pages are written.
type Language string

// The languages.
const (
	English Language = "en"
	Korean  Language = "ko"
)

// Languages returns the names of all languages.
func Languages() []string { return []string{string(English), string(Korean)} }

// ParseLanguage returns the language of the name.
func ParseLanguage(name string) (Language, error) {
	switch language := Language(name); language {
	case English, Korean:
		return language, nil
	default:
		return "", fmt.Errorf("there are reports in %s, not in %.20q", strings.Join(Languages(), " and "), name)
	}
}

func (l Language) words() *words {
	if l == Korean {
		return korean()
	}
	return english()
}

// words is the catalogue: every word of a page in one language. A test sees to it that no
// entry is missing in any. Entries with verbs of fmt say which ones in their comment.
type words struct {
	// The verdict in one sentence. Pass: total. Fail: not passed, total. Stopped and Cut:
	// passed, total, not passed. Unreached: address.
	Pass, PassOne, Fail, FailStopped, FailCut, Stopped, Cut, Unreached, Nothing string
	// The mark of the verdict.
	MarkPass, MarkFail, MarkUndecided string
	// Subtitle: procedure, address. When: time, duration.
	Title, Subtitle, When string
	Skip                  string

	Problems, ProblemsIntro string
	// Steps of one problem; More: how many more.
	ProblemSteps, ProblemNumbers, More string
	// OtherProblems: how many steps. StraysCut: how many strays are shown.
	OtherProblems, StraysCut string
	// Also: late replies and strays. count each.
	LateReplies, LateReply, StrayMessages, StrayMessage string
	// Dropped: how many of the strays were not kept.
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
	// Of a long procedure. LongIntro: steps, steps of a stretch. Stretch: first, last.
	// FailedGroup: first, last, count. NotShown: count. Shortened: characters.
	LongIntro, StretchesCaption, ColStretch, ColPassed, ColRest, ColMedian, ColLongest, Stretch string
	AllSteps, FailedSteps, FailedCaption, FailedGroup, NotShown, Shortened                      string
	// Scale: the end of the charts' axis.
	Scale string
	// Results by outcome.
	Results map[record.Outcome]string
	// Fates are what happened to the steps of a problem, by outcome; that of Failed by reason.
	Fates map[record.Outcome]string
	// Reasons explain each reason in a sentence.
	Reasons       map[protocol.Reason]string
	UnknownReason string
	NoReason      string
	Quoted        string // what the agent or the system said: text
	// LateAfter: time. Again: the number of the step before. Duplicates: count.
	LateAfter, Again, Duplicates string
	// Kept: kept; declared stands before it. NotKept says that there was no wait.
	Kept, NotKept string
	// RowTitle: step id, result, time, timeout.
	RowTitle string

	Strays, StraysCaption, StrayKind, StrayAt, StrayDetail string
	StrayKinds                                             map[record.Stray]string

	// Where the time went, by the records of both sides. WhereSentence: replies, waited.
	// WhereLacks: events.
	Where, WhereSentence, WhereLacks, WhereCaption, WherePart, WhereTime, WhereShare, WhereMeaning string
	WhereLink, WhereQueue, WhereValidators, WhereAgent, WhereFault, WhereIntervals, WhereClient    string
	MeansLink, MeansQueue, MeansValidators, MeansAgent, MeansFault, MeansIntervals, MeansClient    string
	BothViews, BothCaption, ColClient, ColAgent, AgentSilent, AgentPassed                          string
	// AgentRefused: reason. AgentRetried: further arrivals. AgentFault: the fault's name.
	AgentRefused, AgentRetried, AgentFault string

	About, Procedure, Checksum, Client, Agent, AgentUnknown, Host, Address, Session, NoSession,
	Started, Duration, Ending, Format string
	// Endings by cause; the empty one for a record without an end.
	Endings map[record.Cause]string

	Glossary string
	Terms    []term
	Footer   string

	// Units: a number with each.
	Milliseconds, Seconds string
	// details are sentences of the bundled validators and of the client in this language.
	details []phrase
}

// A term is a word with its meaning.
type term struct{ Word, Meaning string }
