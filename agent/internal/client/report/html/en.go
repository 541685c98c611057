package html

import (
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// english has the same entries in the same order as korean, so that translations can be compared
// line by line. The repeated structure is deliberate.
func english() *words {
	return &words{
		Words: htmlkit.English.Words(),

		Pass:        "The test passed: all %d steps were answered in order and in time.",
		PassOne:     "The test passed: its only step was answered in time.",
		Fail:        "The test failed: %d of %d steps did not pass.",
		FailStopped: "The test failed and was stopped early: %d of %d steps did not pass.",
		FailCut:     "The test failed, and its record ends early: %d of %d steps did not pass.",
		Stopped:     "The test was stopped early, so there is no verdict: %d of %d steps passed, %d were not finished.",
		Cut:         "The record ends early, so there is no verdict: %d of %d steps passed, %d were not finished.",
		Unreached:   "The test could not start: no agent could be reached at %s, and nothing was sent.",
		Refused:     "The test could not go on: no secure connection to the agent at %s could be made. %d of %d steps passed.",
		Nothing:     "No step was run, so there is no verdict.",

		Title: "Test report", Subtitle: "%s against %s", When: "Started %s, took %s.",
		ReconnectedOnce:  "The client reconnected once and the run went on: the agent was away for %s.",
		ReconnectedOften: "The client reconnected %d times and the run went on: the agent was away for %s in all.",
		ReconnectedSoon:  "Connections that were lost between two steps and made anew: %d.",
		NoVerdictFor:     "Steps were sent again, because the agent was away or gave no verdict for %s in all.",
		Skip:             "Skip to the steps",

		Moved:      "From step %d on, the run went on with the agent at %s.",
		MovedFirst: "The run began with the agent at %s.",
		MovedOften: "The run went on with another agent %d times, at last from step %d on with the one at %s.",
		SentTo:     "Sent to the agent at %s.", NoSuchSession: "The agent at %s did not have the session and expected the first step.",

		Interrupted:        "The run was interrupted for %s after step %d and then resumed.",
		InterruptedWaiting: "The run was interrupted for %s while step %d waited for its reply. It was then resumed with that step.",
		InterruptedFirst:   "The run was interrupted for %s before its first step and then resumed.",
		InterruptedOften:   "The run was interrupted %d times, for %s in all, and resumed each time.",
		SessionGone:        "When the run was resumed, the agent no longer had the session and expected the first step.",

		Problems: "Problems", ProblemsIntro: "In order of occurrence. Each number links to its step below.",
		ProblemSteps: "Steps:", ProblemNumbers: "Steps no.", More: "and %d more",
		OtherProblems: "%d more steps did not pass for other reasons.", StraysCut: "Only the first %d are shown.",
		LateReply: "%d reply arrived after its timeout and does not count.", LateReplies: "%d replies arrived after their timeouts and do not count.",
		StrayMessage: "%d message answered no request and does not count.", StrayMessages: "%d messages answered no request and do not count.",
		Dropped: "%d of them were counted but not kept.",

		Overview: "Overview", OverviewTitle: "Timeline of the run",
		OverviewDesc:    "%d steps in order of time; %d passed and %d did not; the run took %s.",
		OverviewCaption: "From the start to the end of the run. Low bars are steps that passed, tall bars steps that did not; the line between them is the interval before the next step.",
		Legend:          "Legend of the charts",
		LegendReply:     "wait for the reply: step passed", LegendRefused: "wait for the reply: step refused",
		LegendNone: "wait for the reply: none in time", LegendBroken: "wait for the reply: connection lost or wrong reply",
		LegendLimit: "timeout: the reply must arrive before it", LegendBeyond: "timeout beyond the end of the chart",
		LegendDeclared: "declared interval", LegendKept: "actual interval",
		LegendLate: "late reply", LegendDuplicate: "duplicate reply",

		StepsCaption: "Every expected step, in the order of the procedure.",
		Group:        "Steps no. %d to %d: %d passed, %d did not",

		ColChart:      "Time since sending",
		LongIntro:     "The procedure has %d steps, too many for one row each. Steps that did not pass come first, then all steps in ranges of up to %d. The record of the run and the machine-readable reports contain every step.",
		RangesCaption: "In the order of the procedure. Response times cover the steps that the agent answered.",
		ColRange:      "Steps no.", ColLongest: "Longest response",
		Range: "%d to %d", AllSteps: "All steps", FailedSteps: "Steps that did not pass",
		FailedCaption: "In the order of the procedure.", FailedGroup: "Between no. %d and %d: %d steps that did not pass",
		NotShown: "%d more steps did not pass and are not listed.", Shortened: "… (%d characters in all)",
		Scale: "0 to %s",
		Fates: map[record.Outcome]string{
			record.NotRun: "Not run: the run ended before it.", record.Passed: "Passed.", record.Failed: "Refused by the agent.",
			record.TimedOut: "Not answered in time.", record.ConnectionLost: "The connection was lost.",
			record.WrongReply: "The reply did not match the request.", record.Unreachable: "Not sent: no connection could be made.",
			record.Unanswered: "Sent, but the run ended before a reply arrived.",
		},
		Reasons: map[protocol.Reason]string{
			protocol.OutOfOrder:           "The step was out of order.",
			protocol.TimeoutTooShort:      "The step declares a shorter timeout than the agent allows.",
			protocol.IntervalNotKept:      "The client did not keep the interval that it had declared.",
			protocol.RuleBroken:           "The step broke a rule configured on the agent.",
			protocol.BadMessage:           "The agent could not parse the message.",
			protocol.BadRequest:           "A field of the message is missing or wrong.",
			protocol.ValidatorUnavailable: "A validator gave no verdict in time. The client is not at fault.",
			protocol.Busy:                 "The agent had reached one of its limits. The client is not at fault.",
			protocol.ShuttingDown:         "The agent was shutting down. The client is not at fault.",
			protocol.Internal:             "The agent failed to process the message. The client is not at fault.",
			protocol.Timeout:              "No reply arrived before the timeout.",
			protocol.ConnectionLost:       "The connection was lost before a reply arrived.",
			protocol.WrongReply:           "The message received is not a reply to this step.",
			protocol.Unreachable:          "No connection to the agent could be made.",
		},
		UnknownReason: "The agent gave a reason unknown to this version of stepctl.", NoReason: "The agent gave no reason.",
		Quoted: "Message:", LateAfter: "A reply arrived after %s, too late.", Again: "The same step was sent before, as no. %d.",
		Duplicates:  "Duplicate replies to this step: %d.",
		Reconnected: "Reconnected: the agent was away for %s.", ReconnectedBefore: "The connection had been lost and was made anew before the step was sent.",
		WasAway: "The agent was away for %s.", WasBusy: "The agent was busy for %s.",
		NoValidator: "A validator was not available for %s.", SentTimes: "Sent %d times.",
		Kept: "actual %s", NotKept: "no wait followed",
		RowTitle: "Step %d: %s after %s; timeout %s",

		Strays: "Messages that answer no request", StraysCaption: "Further messages from the agent. They do not count.",
		StrayKind: "Kind", StrayAt: "Time", StrayDetail: "Detail",
		StrayKinds: map[record.Stray]string{record.StrayDuplicate: "duplicate reply", record.StrayUnsolicited: "reply to no request",
			record.StrayGarbage: "not a reply"},

		Where: "Where the time went", WhereSentence: "From the records of the client and the agent: the client waited for %[1]d replies, %[2]s in all.",
		WhereAway:     "Times without the agent during the run: %d, together %s.",
		WhereIdentity: "By its certificate, the agent identified the client as %s.",
		WhereLacks:    "The agent's record lacks %d events.",
		WhereCaption:  "The time of the run, by where it was spent.", WherePart: "Part", WhereTime: "Time", WhereShare: "Share of the waiting", WhereMeaning: "Meaning",
		WhereLink: "Link", WhereQueue: "Agent queue", WhereValidators: "Validators", WhereAgent: "Agent", WhereFault: "Injected delay", WhereNoAgent: "Agent away",
		WhereIntervals: "Client, intervals", WhereClient: "Client, other",
		MeansLink:       "The network in both directions, with sending and receiving on both machines, and tries that got no verdict.",
		MeansQueue:      "Waiting for the session's turn and for a validator process.",
		MeansValidators: "Judging by the validators; where several groups judged at once, the slowest.",
		MeansAgent:      "Reading the request, combining the verdicts and writing the reply.",
		MeansFault:      "A reply delayed by fault injection.",
		MeansNoAgent:    "The agent could not be reached or gave no verdict, until the step was sent again.",
		MeansIntervals:  "Waiting after each step, as the procedure specifies.",
		MeansClient:     "All other time between steps, including tries to send a step while the agent was away.",
		BothViews:       "Client and agent, step by step", BothCaption: "The two can differ: a reply may have been lost, late or altered by fault injection.",
		ColClient: "Client", ColAgent: "Agent", AgentSilent: "not recorded", AgentPassed: "passed",
		AgentRefused: "refused: %s", AgentRetried: "request received again, %d times", AgentFault: "injected fault: %s",

		About:        "About this run",
		AgentUnknown: "version unknown", Host: "Client's host", NoSession: "not named",
		Ending: "Ended", Format: "Record format",
		Secured: "Security", SecuredBy: "TLS %s; certificate of the agent: %s (issued by %s, serial %s, valid until %s)",
		SecuredClient: "; of the client: %s", SecuredKeys: "; keys of the connections: %s",
		Endings: map[record.Cause]string{
			record.Finished: "finished: every step was performed", record.Interrupted: "interrupted by the user",
			record.Lost: "the agent could not be reached", record.Refused: "no secure connection could be made",
			"": "no end recorded: the client was killed or is still running",
		},

		Glossary: "Terms on this page",
		Terms: []term{
			{"Procedure", "The ordered list of steps under test."},
			{"Step", "One request of the client and the agent's reply to it."},
			{"Timeout", "How long the client waits for the reply. A later reply does not count."},
			{"Interval", "How long the client waits after a step before it sends the next."},
			{"Client", "The program that performs the procedure."},
			{"Agent", "The program on the board that judges whether each step is in order and in time."},
			{"Reason", "The agent's identifier for why a step did not pass."},
		},
		Footer: "All times come from the client's record of the run and were measured on a monotonic clock.",

		Boards: englishBoards(),
	}
}
