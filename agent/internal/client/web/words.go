package web

import "github.com/stepagent/stepagent/agent/internal/client/htmlkit"

// words is the catalogue: all wording of the pages in one language. A test checks that no language lacks an
// entry. The comments name the arguments of entries that are formats.
type words struct {
	htmlkit.Words

	// Frame of the pages.
	Skip, Menu, Colours, Lost, Footer string
	Schemes                           map[string]string
	// Errors. Bad: name, value.
	Away, Retrying, NoPage, Missing, Bad, BackToRuns string
	Wants                                            map[string]string

	// Runs. Newest, ManyRuns: count. Range: first, last, total. GridCaption: from, to.
	Runs, Now, InProgress, Interrupted, NothingRuns, MoreRuns, NoRuns, NoneSelected, OneRun, ManyRuns, Newest, Range,
	GridTitle, GridCaption, ListTitle, ListCaption, Previous, Next, Older, Legend, LegendMany string
	// The form.
	Filter, All, Verdict, Board, Label, LabelHint, Since, Until, Show, Reset string
	// Columns.
	ColRun, ColSteps, ColLabels, ColTook string
	// StepOf: done, steps. StepNow: step_id, position, steps.
	StepOf, StepNow string

	// A run.
	OpenReport, LoadRun, About, Host, Entry, Attempt, Worker, RecordChecksum, CompareWith, Baseline, StepsTitle, ChartScale string
	// RunBefore: time.
	RunBefore string

	// Trend. StepTitle: position, step_id. FromTo: low, high. FlakyOf: not passed, performed. PlotDescription:
	// performed, passed, median, timeout.
	Trend, ChooseProcedure, TrendIntro, StepTitle, FromTo, FlakyOf, PlotDescription                        string
	Median, Spread, BaselineMedian, Beyond, RunningMedian, TimeoutLine, BaselineBand, DotPassed, DotFailed string

	// Queue.
	Queue, Waiting, QueueEnded, NothingWaits, NothingEnded, Due, AtOnce, Every, Times, Priority, State, NotBegun string
	States                                                                                                       map[string]string
	Endless                                                                                                      string

	// Procedures.
	Procedures, NoProcedures, Version, Versions, StepCount, Imported, Differences, NoDifferences, DiffCut, From, To, Compare string
	ShowTrend, ShowRuns, NotStored                                                                                           string

	// Comparisons. By, Between: ends of an interval. Needed: runs. Confidence: confidence, threshold. Replies: count.
	// FailedOf: not passed, performed. ChangedSince, FailingSince, PassingSince: time. AgainstBaseline: name.
	Comparison, ChooseRuns, SelectHint, AgainstHint, Before, After, Finding, By, Between, Needed, Confidence, Replies, FailedOf, NewlyFailing,
	AgainstOlder, AgainstBaseline, ChangedSince, FailingSince, PassingSince, Failing, ChangeLine string
	Findings map[string]string // by statistics.Word
	Bases    map[string]string // by what a comparison rests on
}

// wordsOf returns the catalogue of a language.
func wordsOf(l htmlkit.Language) *words {
	if l == htmlkit.Korean {
		return korean()
	}
	return english()
}
