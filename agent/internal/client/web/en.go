package web

import "github.com/stepagent/stepagent/agent/internal/client/htmlkit"

// english has the same entries in the same order as korean, so that translations can be compared line by line.
func english() *words {
	return &words{
		Words: htmlkit.English.Words(),

		Skip: "Skip to the content", Menu: "Pages", Colours: "Colours",
		Lost:    "No answer from stepctl web; the page shows what was known before, and tries again.",
		Footer:  "Times are those of this machine's time zone. The page shows the database and changes nothing in it.",
		Schemes: map[string]string{"": "as the system", "light": "light", "dark": "dark"},
		Away:    "The database cannot be read now.", Retrying: "The page tries again each second.",
		NoPage: "There is no such page.", Missing: "This is not in the database.", Bad: "The parameter %[1]s cannot be %[2]q.",
		BackToRuns: "All runs",
		Wants: map[string]string{
			"known": "No page has this parameter.", "once": "It may be given once.", "lang": "Languages are en and ko.",
			"scheme": "Schemes are light and dark.", "label": "A label has the form key=value.",
			"verdict": "It is pass, fail, undecided, running or interrupted.",
			"time":    "A time has the form 2026-11-30 or 2026-11-30T14:05.", "order": "The first time must be before the second.",
			"number": "It is a number from 1 on.", "baseline": "The procedure has no baseline of this name.",
			"name": "It is the name of a procedure.", "id": "It is the id of a run.", "run": "Name the runs to compare.", "with": "Name a run or a baseline to compare with.",
		},

		Runs: "Runs", Now: "In progress", InProgress: "in progress", Interrupted: "interrupted", NothingRuns: "Nothing is running.",
		MoreRuns: "and %d more", NoRuns: "The database has no runs yet. Store one with: stepctl run --db PLACE",
		NoneSelected: "No run is selected by these conditions.", OneRun: "1 run", ManyRuns: "%d runs", Newest: "the newest %d runs",
		Range: "%d to %d of %d", GridTitle: "Procedures by time", GridCaption: "Runs from %s to %s. A procedure's name leads to its trend, a mark to its run.",
		ListTitle: "List", ListCaption: "The newest first.", Previous: "Previous", Next: "Next", Older: "Older runs",
		Legend: "Legend", LegendMany: "more than four runs: their number and shares",
		Filter: "Select runs", All: "all", Verdict: "Verdict", Board: "Board", Label: "Label", LabelHint: "key=value",
		Since: "Since", Until: "Until", Show: "Show", Reset: "Show all",
		ColRun: "Run", ColSteps: "Passed", ColLabels: "Labels", ColTook: "Took",
		StepOf: "%d of %d steps", StepNow: "step %d, no. %d of %d",

		OpenReport: "Report of this run", LoadRun: "Load test", About: "About this run", Host: "Client's host", Entry: "Entry of the queue",
		Attempt: "Attempt", Worker: "Worker", RecordChecksum: "SHA-256 of the record", CompareWith: "Compare with",
		Baseline: "baseline", StepsTitle: "Steps", ChartScale: "Time since sending, 0 to %s",
		RunBefore: "the run before, of %s",

		Trend: "Trend", ChooseProcedure: "Choose a procedure to see the trend of its steps.",
		TrendIntro: "Response times of each step in %s, the oldest first, from %s to %s.",
		StepTitle:  "No. %d, step %s", FromTo: "%s to %s", FlakyOf: "flaky: did not pass %d of %d times",
		PlotDescription: "%d runs performed the step and %d passed; the median response is %s, the timeout %s.",
		Median:          "Median", Spread: "Middle half", BaselineMedian: "Baseline", Beyond: "The timeout is beyond the chart.",
		RunningMedian: "running median of nine", TimeoutLine: "timeout", BaselineBand: "baseline: median and middle half",
		DotPassed: "passed", DotFailed: "did not pass; at the upper edge without a reply",

		Queue: "Queue", Waiting: "Waiting", QueueEnded: "Over",
		NothingWaits: "No entry waits.", NothingEnded: "No entry is over.", Due: "Due", AtOnce: "at once", Every: "Every", Times: "Performed",
		Priority: "Priority", State: "State", NotBegun: "the run has not begun",
		States:  map[string]string{"waiting": "waiting", "running": "running", "done": "done", "cancelled": "cancelled", "failed": "failed"},
		Endless: "no end",

		Procedures: "Procedures", NoProcedures: "The database has no procedures. Import one with: stepctl db import FILE",
		Version: "Version", Versions: "Versions", StepCount: "Steps", Imported: "Imported", Differences: "Differences",
		NoDifferences: "The versions do not differ.", DiffCut: "Not all differences are shown; stepctl db diff has them.",
		From: "From version", To: "To version", Compare: "Compare", ShowTrend: "Trend of each step", ShowRuns: "Runs of this procedure",
		NotStored: "No version of this procedure is stored; its runs are from files.",

		Comparison: "Comparison", ChooseRuns: "Name the runs to compare: ids, labels or baselines, several with commas between them.",
		SelectHint: "run, key=value, baseline", AgainstHint: "empty: the only baseline", Before: "Before", After: "After", Finding: "Finding",
		By: "by %s to %s", Between: "between %s and %s", Needed: "%d on each side are needed",
		Confidence: "With %[1]s confidence, no word in this list is wrong; changes from %[2]s count.", Replies: "%d replies", FailedOf: "%d of %d did not pass",
		NewlyFailing: "newly failing", AgainstOlder: "The newer half of the runs against the older one:", AgainstBaseline: "Against the baseline %s:",
		ChangedSince: "the level changed on %s", FailingSince: "failing since %s", PassingSince: "passing since %s", Failing: "failing in all runs",
		ChangeLine: "the level changed here",
		Findings: map[string]string{
			"slower": "slower", "faster": "faster", "no difference seen": "no difference seen", "too few runs": "too few runs",
		},
		Bases: map[string]string{
			"runs": "Each run is one value: the median ratio of its steps.", "throughput": "Load tests are compared by their throughput.",
			"steps": "There are too few runs to compare runs, so each step is one value. This holds for these runs only.",
		},
	}
}
