package html

import (
	"github.com/stepagent/stepagent/agent/internal/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

func english() *words {
	return &words{
		Pass:        "The test passed: all %d steps were answered in order and in time.",
		PassOne:     "The test passed: its only step was answered in time.",
		Fail:        "The test failed: %d of %d steps did not pass.",
		FailStopped: "The test failed, and was stopped before it was over: %d of %d steps did not pass.",
		FailCut:     "The test failed, and its record ends before it was over: %d of %d steps did not pass.",
		Stopped:     "The test was stopped before it was over, so there is no verdict: %d of %d steps passed, %d were not finished.",
		Cut:         "The record ends before the test was over, so there is no verdict: %d of %d steps passed, %d were not finished.",
		Unreached:   "The test could not begin: no agent could be reached at %s, and nothing was sent.",
		Nothing:     "Nothing was run, so there is no verdict.",

		MarkPass: "PASS", MarkFail: "FAIL", MarkUndecided: "NO VERDICT",
		Title: "Test report", Subtitle: "%s against %s", When: "Started %s, took %s.",
		Skip: "Skip to the steps",

		Problems: "What went wrong", ProblemsIntro: "In the order in which it came up. Each number leads to its step below.",
		ProblemSteps: "Steps:", More: "and %d more",
		LateReply: "%d reply came after its timeout. It counts for nothing.", LateReplies: "%d replies came after their timeouts. They count for nothing.",
		StrayMessage: "%d message came that answers nothing. It counts for nothing.", StrayMessages: "%d messages came that answer nothing. They count for nothing.",
		Dropped: "%d of them were not kept.",

		Overview: "The run at a glance", OverviewTitle: "Timeline of the run",
		OverviewDesc:    "%d steps in the order of time; %d passed and %d did not; the run took %s.",
		OverviewCaption: "From the start to the end of the run. Low bars are steps that passed, tall ones those that did not; the line between them is the wait from one step to the next.",
		Legend:          "What the charts show",
		LegendReply:     "waiting for a reply that passed", LegendRefused: "waiting for a reply that refused the step",
		LegendNone: "waiting, and no reply in time", LegendBroken: "waiting until the connection was lost or something else came",
		LegendLimit: "the timeout: the reply must come before it", LegendBeyond: "the timeout lies beyond the chart",
		LegendDeclared: "the interval that was declared", LegendKept: "the interval as it was kept",
		LegendLate: "a late reply", LegendDuplicate: "a reply that came again",

		Steps: "The steps", StepsCaption: "Each expected step, in the order of the procedure.",
		Group:     "Steps no. %d to %d: %d passed, %d did not",
		ColNumber: "No.", ColStep: "Step", ColResult: "Result", ColWhy: "Reason and detail", ColTime: "Response",
		ColTimeout: "Timeout", ColInterval: "Interval", ColChart: "Since the sending",
		Scale: "0 to %s",
		Results: map[record.Outcome]string{
			record.NotRun: "not run", record.Passed: "passed", record.Failed: "refused", record.TimedOut: "timed out",
			record.ConnectionLost: "connection lost", record.WrongReply: "wrong reply", record.Unreachable: "not sent",
			record.Unanswered: "interrupted",
		},
		Fates: map[record.Outcome]string{
			record.NotRun: "Not run, because the run ended before.", record.Passed: "Passed.", record.Failed: "Refused by the agent.",
			record.TimedOut: "Not answered in time.", record.ConnectionLost: "Cut off: the connection was lost.",
			record.WrongReply: "Answered with something else.", record.Unreachable: "Not sent: no connection could be made.",
			record.Unanswered: "Sent, and the run ended before a reply came.",
		},
		Reasons: map[protocol.Reason]string{
			protocol.OutOfOrder:           "The step did not come in its order.",
			protocol.TimeoutTooShort:      "The step declares a shorter timeout than the agent allows.",
			protocol.IntervalNotKept:      "The client did not keep the interval that it had declared.",
			protocol.RuleBroken:           "A rule that the agent's owner has set was broken.",
			protocol.BadMessage:           "The agent could not read the message.",
			protocol.BadRequest:           "A field of the message is missing or wrong.",
			protocol.ValidatorUnavailable: "A validator of the agent gave no verdict in time. That is no fault of the client.",
			protocol.Busy:                 "The agent had reached one of its limits. That is no fault of the client.",
			protocol.ShuttingDown:         "The agent was stopping. That is no fault of the client.",
			protocol.Internal:             "The agent failed on this message. That is no fault of the client.",
			protocol.Timeout:              "No reply came before the timeout.",
			protocol.ConnectionLost:       "The connection was lost before a reply came.",
			protocol.WrongReply:           "What came was no reply to this step.",
			protocol.Unreachable:          "No connection to the agent could be made.",
		},
		UnknownReason: "The agent gave a reason that is not known here.", NoReason: "The agent gave no reason.",
		Quoted: "Message:", LateAfter: "A reply came after %s, too late.", Again: "The same step was sent before, as no. %d.",
		Duplicates: "Further replies to this step: %d.",
		Kept:       "kept %s", NotKept: "no wait followed",
		RowTitle: "Step %d: %s after %s; timeout %s",

		Strays: "Messages that answer nothing", StraysCaption: "What else came from the agent. It counts for nothing.",
		StrayKind: "What", StrayAt: "When", StrayDetail: "Detail",
		StrayKinds: map[record.Stray]string{record.StrayDuplicate: "a further reply", record.StrayUnsolicited: "a reply to nothing that was asked",
			record.StrayGarbage: "bytes that are no reply"},

		Where: "Where the time went", WhereSentence: "By the records of the client and of the agent. The client waited for %[1]d replies, %[2]s in all.",
		WhereLacks:   "The agent's record lacks %d events.",
		WhereCaption: "The time of the run, by who had it.", WherePart: "Who", WhereTime: "Time", WhereShare: "Share of the waiting", WhereMeaning: "What that is",
		WhereLink: "Link", WhereQueue: "Agent's queue", WhereValidators: "Validators", WhereAgent: "Agent itself", WhereFault: "Held back on purpose",
		WhereIntervals: "Client, intervals", WhereClient: "Client, own work",
		MeansLink:       "The way to the agent and back: the network, and both machines' way to it.",
		MeansQueue:      "Waiting for the session's turn and for the validators' process.",
		MeansValidators: "The validators at work, the slowest group where several were asked at once.",
		MeansAgent:      "Reading the request, deciding, and writing the reply.",
		MeansFault:      "A fault that the agent was told to put in.",
		MeansIntervals:  "Waiting after each step, as the procedure has it.",
		MeansClient:     "Everything else between the steps.",
		BothViews:       "What the client and the agent say of each step", BothCaption: "The two need not agree: a reply may have been lost, late or spoilt on purpose.",
		ColClient: "Client", ColAgent: "Agent", AgentSilent: "nothing on record", AgentPassed: "passed",
		AgentRefused: "refused: %s", AgentRetried: "the request came again, %d times", AgentFault: "fault on purpose: %s",

		About: "About this run", Procedure: "Procedure", Checksum: "SHA-256 of the step file", Client: "Client", Agent: "Agent",
		AgentUnknown: "version not known", Host: "Client's host", Address: "Agent's address", Session: "Session", NoSession: "none named",
		Started: "Start", Duration: "Duration", Ending: "End", Format: "Format of the record",
		Endings: map[record.Cause]string{
			record.Finished: "finished: every step had its turn", record.Interrupted: "interrupted: somebody stopped the run",
			record.Lost: "lost: the agent could not be reached", "": "the record has no end: the client was killed or is still at work",
		},

		Glossary: "Words on this page",
		Terms: []term{
			{"Procedure", "The ordered list of steps that is tested."},
			{"Step", "One question of the client and the agent's reply to it."},
			{"Timeout", "How long the client waits for the reply. A reply that comes later does not count."},
			{"Interval", "How long the client waits after a step before it sends the next."},
			{"Client", "The program that performs the procedure."},
			{"Agent", "The program on the board that judges whether each step comes in order and in time."},
			{"Reason", "The agent's word for why a step did not pass."},
		},
		Footer:       "All times come from the client's record of the run and are measured on one clock that only goes forward.",
		Milliseconds: "%s ms", Seconds: "%s s",
	}
}
