package html

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A page holds everything that the template shows. Its fields are computed once, by newPage.
type page struct {
	Lang           Language
	Words          *words
	Run            record.Run
	Split          *report.Split
	Style          template.CSS
	Policy         string // of the header Content-Security-Policy
	Mark, Sentence string // the verdict as a word and as a sentence
	Interruption   string // a sentence; empty if nothing interrupted the run
	Started        string
	Agents         []string
	Addresses      []string
	Secured        []string // how the connections were secured
	Resumed        []string // sentences on interruptions of the client
	Moved          []string // sentences on other agents with which the run went on

	Problems []problem
	Extras   []string // sentences on late replies and strays
	Overview overview
	Legend   []sample

	Long      bool // the page has rows for ranges, and a row each for selected steps only
	LongIntro string
	NotShown  string // how many steps did not pass and have no row; empty for none
	Groups    []group
	Ranges    []stepRange
	Scale     string // the axis of the rows' charts
	shown     selection

	Timing        string
	Parts         []part
	Pairs         []pair
	Strays        []stray
	StraysCaption string
}

// startFormat is how pages show when a run was started.
const startFormat = "2006-01-02 15:04:05 (UTC-07:00)"

func newPage(run record.Run, split *report.Split, language Language) (*page, error) {
	w := wordsOf(language)
	style, err := w.style("style.css")
	if err != nil {
		return nil, err
	}
	c := newChart(run)
	p := &page{
		Lang: language, Words: w, Run: run, Split: split,
		Style:  template.CSS(style), // an embedded file with words of the catalogue
		Policy: policy(style),
		Mark:   w.Marks[run.Verdict], Sentence: w.sentence(run),
		Interruption: w.interruption(run), Resumed: resumed(w, run), Moved: moved(w, run),
		Started: run.Start.Time.Format(startFormat), Agents: run.Agents, Addresses: run.Start.Addresses, Secured: secured(w, run),
		Problems: problems(w, run.Steps), Extras: extras(w, run),
		Overview: c.overview(w), Legend: legend(w), Scale: fmt.Sprintf(w.Scale, w.Time(c.end)),
	}
	if len(p.Addresses) == 0 {
		p.Addresses = []string{run.Start.Address}
	}
	if len(run.Agents) == 0 {
		p.Agents = []string{w.AgentUnknown}
	}
	p.shown = selectSteps(run.Steps, p.Problems)
	if p.Long = p.shown != nil; p.Long {
		p.LongIntro = fmt.Sprintf(w.LongIntro, len(run.Steps), rangeSteps(run.Steps))
		p.NotShown = notShown(w, run, p.shown)
		p.Ranges = stepRanges(w, run.Steps, p.shown)
	}
	p.Groups = p.groups(c)
	if split != nil {
		p.Timing, p.Parts, p.Pairs = timing(w, split), parts(w, split), pairs(w, run.Steps, split, p.shown)
	}
	p.Strays, p.StraysCaption = strays(w, run)
	return p, nil
}

// Policy returns the Content-Security-Policy of the pages of a language, for a server that sends it as a
// header, too.
func Policy(language Language) (string, error) {
	style, err := wordsOf(language).style("style.css")
	return policy(style), err
}

// policy forbids the browser to load or run anything, even if a text escaped its quoting.
func policy(style string) string {
	return "default-src 'none'; img-src data:; style-src " + htmlkit.StyleSource(style) + "; base-uri 'none'; form-action 'none'"
}

// Shown reports whether the step at an index has a row of its own.
func (p *page) Shown(index int) bool { return p.shown.has(index) }

// groupSteps is how many steps one table has. A longer procedure has several tables, which are
// folded where every step passed.
const groupSteps = 100

// A group is a table of neighbouring steps.
type group struct {
	Words          *words
	Caption, Scale string
	Rows           []row
	Folded         bool // shown as a title until the reader opens it
	Alone          bool // the only group
	Title          string
}

// groups returns the steps that have a row, in tables.
func (p *page) groups(c chart) []group {
	w, steps := p.Words, slices.DeleteFunc(slices.Clone(p.Run.Steps), func(s record.StepResult) bool { return !p.Shown(s.Index) })
	explain := newExplainer(w, p.Run)
	var groups []group
	for part := range slices.Chunk(steps, groupSteps) {
		first, last, passed := part[0].Index, part[len(part)-1].Index, 0
		g := group{Words: w, Caption: w.StepsCaption, Scale: p.Scale, Alone: len(steps) <= groupSteps}
		for _, s := range part {
			if s.Outcome == record.Passed {
				passed++
			}
			g.Rows = append(g.Rows, newRow(w, s, explain.step(s), c.row(s, explain.duplicates[s.Index])))
		}
		g.Folded, g.Title = passed == len(part), fmt.Sprintf(w.Group, first, last, passed, len(part)-passed)
		if p.Long {
			g.Caption = w.FailedCaption
			g.Folded, g.Title = len(groups) > 0, fmt.Sprintf(w.FailedGroup, first, last, len(part))
		}
		groups = append(groups, g)
	}
	return groups
}

// A row shows one step.
type row struct {
	record.StepResult
	Class, Symbol, Result string
	Replied               bool // it has a response time
	Explanation           explanation
	Chart                 []htmlkit.Mark
	ChartTitle            string
}

func newRow(w *words, s record.StepResult, e explanation, marks []htmlkit.Mark) row {
	r := row{StepResult: s, Result: w.Results[s.Outcome], Replied: report.Replied(s.Outcome), Explanation: e, Chart: marks,
		ChartTitle: fmt.Sprintf(w.RowTitle, s.StepID, w.Results[s.Outcome], w.Time(s.Took), w.Wait(s.Timeout))}
	r.Class, r.Symbol = htmlkit.Look(s.Outcome)
	return r
}

// sentence says in one sentence how the run went.
func (w *words) sentence(run record.Run) string {
	total, passed := len(run.Steps), run.Counts[record.Passed]
	switch rest := total - passed; {
	case run.Unreached():
		return fmt.Sprintf(w.Unreached, report.Agents(run))
	case run.Refused():
		return fmt.Sprintf(w.Refused, logging.Clean(run.Start.Address), passed, total)
	case total == 0:
		return w.Nothing
	case run.Verdict == record.Pass && total == 1:
		return w.PassOne
	case run.Verdict == record.Pass:
		return fmt.Sprintf(w.Pass, total)
	case run.Verdict == record.Fail && run.Cut():
		return fmt.Sprintf(w.FailCut, rest, total)
	case run.Verdict == record.Fail && run.Cause == record.Interrupted:
		return fmt.Sprintf(w.FailStopped, rest, total)
	case run.Verdict == record.Fail:
		return fmt.Sprintf(w.Fail, rest, total)
	case run.Cut():
		return fmt.Sprintf(w.Cut, passed, total, rest)
	default:
		return fmt.Sprintf(w.Stopped, passed, total, rest)
	}
}

// style returns the style sheet of the files, with the column names that precede each cell where the
// table is shown as cards.
func (w *words) style(names ...string) (string, error) {
	sheets := htmlkit.Colours() + htmlkit.Base()
	for _, name := range names {
		sheet, err := files.ReadFile(name)
		if err != nil {
			return "", err
		}
		sheets += string(sheet)
	}
	return strings.NewReplacer("$number", w.ColNumber, "$step", w.ColStep, "$response", w.ColTime,
		"$timeout", w.ColTimeout, "$interval", w.ColInterval).Replace(sheets), nil
}
