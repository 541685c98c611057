package htmlkit

import "github.com/stepagent/stepagent/agent/internal/client/record"

// english has the same entries in the same order as korean.
func english() Words {
	return Words{
		Marks: map[record.Verdict]string{record.Pass: "PASS", record.Fail: "FAIL", record.Undecided: "NO VERDICT"},
		Results: map[record.Outcome]string{
			record.NotRun: "not run", record.Passed: "passed", record.Failed: "refused", record.TimedOut: "timed out",
			record.ConnectionLost: "connection lost", record.WrongReply: "wrong reply", record.Unreachable: "not sent",
			record.Unanswered: "interrupted",
		},
		ColNumber:    "No.",
		ColStep:      "Step",
		ColResult:    "Result",
		ColWhy:       "Reason and detail",
		ColTime:      "Response",
		ColTimeout:   "Timeout",
		ColInterval:  "Interval",
		ColPassed:    "Passed",
		ColRest:      "Did not pass",
		ColMedian:    "Median response",
		Steps:        "Steps",
		Procedure:    "Procedure",
		Checksum:     "SHA-256 of the step file",
		Client:       "Client",
		Agent:        "Agent",
		Address:      "Agent's address",
		Session:      "Session",
		Started:      "Started",
		Duration:     "Duration",
		Milliseconds: "%s ms",
		Seconds:      "%s s",
	}
}
