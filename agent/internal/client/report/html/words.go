package html

import (
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Language is a language of pages.
type Language = htmlkit.Language

// The languages.
const (
	English = htmlkit.English
	Korean  = htmlkit.Korean
)

// Languages returns the names of all languages.
func Languages() []string { return htmlkit.Languages() }

func wordsOf(l Language) *words {
	if l == Korean {
		return korean()
	}
	return english()
}

// words is the catalogue: all wording of a page in one language. A test checks that no language
// lacks an entry. The comments name the arguments of entries that are formats.
type words struct {
	htmlkit.Words

	// The verdict in one sentence. Pass: total. Fail...: not passed, total. Stopped and Cut:
	// passed, total, not passed. Unreached: address. Refused: address, passed, total.
	Pass, PassOne, Fail, FailStopped, FailCut, Stopped, Cut, Unreached, Refused, Nothing string
	// Subtitle: procedure, address. When: time, duration.
	Title, Subtitle, When string
	// What interrupted the run. ReconnectedOnce: time away. ReconnectedOften: count, time away.
	// ReconnectedSoon: count. NoVerdictFor: time.
	ReconnectedOnce, ReconnectedOften, ReconnectedSoon, NoVerdictFor string
	// Another agent with which the run went on. Moved: step, address. MovedFirst: address. MovedOften: count,
	// step, address. SentTo, of a step: address. NoSuchSession: address.
	Moved, MovedFirst, MovedOften, SentTo, NoSuchSession string
	// An interruption of the client, after which the run was resumed. Interrupted: time, the step before
	// it. InterruptedWaiting: time, step. InterruptedFirst: time. InterruptedOften: times, time in all.
	Interrupted, InterruptedWaiting, InterruptedFirst, InterruptedOften, SessionGone string
	Skip                                                                             string

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

	StepsCaption string
	// Group: first, last, passed, not passed.
	Group    string
	ColChart string
	// Of a long procedure. LongIntro: steps, steps of a range. Range: first, last.
	// FailedGroup: first, last, count. NotShown: count. Shortened: characters.
	LongIntro, RangesCaption, ColRange, ColLongest, Range                  string
	AllSteps, FailedSteps, FailedCaption, FailedGroup, NotShown, Shortened string
	// Scale: the end of the axis.
	Scale string
	// Fates say what happened to a step, by outcome.
	Fates map[record.Outcome]string
	// Reasons explain each reason in a sentence.
	Reasons       map[protocol.Reason]string
	UnknownReason string
	NoReason      string
	Quoted        string // introduces a detail as it was received
	// LateAfter: time. Again: index of the earlier step. Duplicates: count.
	LateAfter, Again, Duplicates string
	// Of a step that was tried again. Reconnected, WasAway, WasBusy, NoValidator: time. SentTimes: count.
	Reconnected, ReconnectedBefore, WasAway, WasBusy, NoValidator, SentTimes string
	// Kept: the actual interval, which follows the declared one. NotKept: there was no wait.
	Kept, NotKept string
	// RowTitle: step id, result, time, timeout.
	RowTitle string

	Strays, StraysCaption, StrayKind, StrayAt, StrayDetail string
	StrayKinds                                             map[record.Stray]string

	// Where the time went, from both records. WhereSentence: replies, time waited.
	// WhereAway: times, duration. WhereIdentity: identity. WhereLacks: events.
	Where, WhereSentence, WhereAway, WhereIdentity, WhereLacks, WhereCaption, WherePart, WhereTime, WhereShare, WhereMeaning string
	WhereLink, WhereQueue, WhereValidators, WhereAgent, WhereFault, WhereNoAgent, WhereIntervals, WhereClient                string
	MeansLink, MeansQueue, MeansValidators, MeansAgent, MeansFault, MeansNoAgent, MeansIntervals, MeansClient                string
	BothViews, BothCaption, ColClient, ColAgent, AgentSilent, AgentPassed                                                    string
	// AgentRefused: reason. AgentRetried: further arrivals. AgentFault: kind of fault.
	AgentRefused, AgentRetried, AgentFault string

	About, AgentUnknown, Host, NoSession, Ending, Format string
	// SecuredBy: version of TLS, and of the agent's certificate the subject, issuer, serial number and
	// end. SecuredClient: subject. SecuredKeys: file.
	Secured, SecuredBy, SecuredClient, SecuredKeys string
	// Endings by cause; the empty cause is that of a record without an end.
	Endings map[record.Cause]string

	Glossary string
	Terms    []term
	Footer   string

	Boards boardWords

	// details translates details into the language; nil for English, in which they are written.
	details []translation
}

// A term is an entry of the glossary.
type term struct{ Word, Meaning string }
