package html

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// wide is the width of every chart in its own units. The page stretches it as it has room.
const wide = 1000

// farTimes is how many times longer than everything that happened a timeout may be and still
// stand in the chart. One beyond it is told by an arrow, so that the rest can be seen.
const farTimes = 10

// A chart is what the charts of one run have in common.
type chart struct {
	run record.Run
	// end is the end of the rows' axis, since the sending of each step.
	end time.Duration
}

func newChart(run record.Run) chart {
	var happened, timeout time.Duration
	for _, s := range run.Steps {
		if s.Outcome == record.NotRun {
			continue
		}
		happened = max(happened, s.Took+s.Kept.Duration)
		if s.Kept.Declared {
			happened = max(happened, s.Took+s.Interval)
		}
		if s.Late != nil {
			happened = max(happened, s.Late.Took)
		}
	}
	for _, s := range run.Steps {
		if s.Timeout <= farTimes*happened {
			timeout = max(timeout, s.Timeout)
		}
	}
	end := max(happened, timeout)
	return chart{run: run, end: max(end+end/50, time.Millisecond)} // room for the last mark
}

// at returns the place of a time on the rows' axis.
func (c chart) at(d time.Duration) int { return scale(d, c.end) }

// scale returns the place of d between 0 and whole.
func scale(d, whole time.Duration) int {
	if whole <= 0 {
		return 0
	}
	return int(min(max(float64(d)/float64(whole), 0), 1) * wide)
}

// A mark is one path in a chart, of a class of the style sheet.
type mark struct{ Class, Path string }

// row returns what a step's chart shows: the wait for the reply, the timeout, the interval as
// declared and as kept, the late reply and the further ones.
func (c chart) row(s record.StepResult, again []record.Event) []mark {
	if s.Outcome == record.NotRun || s.Outcome == record.Unreachable {
		return nil
	}
	took := c.at(s.Took)
	marks := []mark{{"w" + class(s.Outcome), bar(0, max(took, 3), 4, 12)}}
	if s.Timeout <= c.end {
		marks = append(marks, mark{"l", fmt.Sprintf("M%d 0V20", c.at(s.Timeout))})
	} else {
		marks = append(marks, mark{"x", "M990 4L999 10L990 16Z"})
	}
	if s.Kept.Declared {
		if s.Interval > 0 {
			marks = append(marks, mark{"d", bar(took, c.at(s.Took+s.Interval), 12, 18)})
		}
		marks = append(marks, mark{"k", fmt.Sprintf("M%d 15H%d", took, c.at(s.Took+s.Kept.Duration))})
	}
	if s.Late != nil {
		x := c.at(s.Late.Took)
		marks = append(marks, mark{"a", fmt.Sprintf("M%d 2L%d 10L%d 18L%d 10Z", x, x+6, x, x-6)})
	}
	for _, e := range again[:min(len(again), 8)] {
		x := c.at(e.At - s.SentAt)
		marks = append(marks, mark{"g", fmt.Sprintf("M%d 1L%d 6L%d 1Z", x-5, x, x+5)})
	}
	return marks
}

// overview returns what the chart of the whole run shows. The steps of one outcome are one
// path, and those that touch one another one bar in it, so that it stays small however many
// there are.
func (c chart) overview() []mark {
	paths := map[string]*strings.Builder{}
	add := func(class, path string) {
		if paths[class] == nil {
			paths[class] = &strings.Builder{}
		}
		paths[class].WriteString(path)
	}
	waits := map[string]*bars{}
	late := map[int]bool{}
	lastPause := -1
	for _, s := range c.run.Steps {
		if s.Outcome == record.NotRun || s.Outcome == record.Unreachable {
			continue
		}
		from, to := scale(s.SentAt, c.run.Duration), scale(s.SentAt+s.Took, c.run.Duration)
		kind := "w" + class(s.Outcome)
		if waits[kind] == nil {
			waits[kind] = newBars(s.Outcome)
		}
		waits[kind].add(from, max(to, from+2))
		if until := scale(s.SentAt+s.Took+s.Kept.Duration, c.run.Duration); until > max(to, lastPause) {
			add("k", fmt.Sprintf("M%d 52H%d", to, until))
			lastPause = until
		}
		if s.Late != nil {
			x := scale(s.SentAt+s.Late.Took, c.run.Duration)
			if !late[x] {
				add("a", fmt.Sprintf("M%d 20L%d 28L%d 36L%d 28Z", x, x+5, x, x-5))
			}
			late[x] = true
		}
	}
	for kind, b := range waits {
		add(kind, b.path())
	}
	var marks []mark
	for _, class := range []string{"k", "wp", "wf", "wt", "wb", "wn", "a"} {
		if b := paths[class]; b != nil {
			marks = append(marks, mark{class, b.String()})
		}
	}
	return marks
}

// bars are the bars of steps of one outcome in the overview.
type bars struct {
	top      int
	done     strings.Builder
	from, to int // the last one, which is not done; none when they are equal
}

func newBars(outcome record.Outcome) *bars {
	if outcome == record.Passed {
		return &bars{top: 34}
	}
	return &bars{top: 4}
}

// add takes the next bar, which begins no earlier than those before.
func (b *bars) add(from, to int) {
	if b.from < b.to && from <= b.to {
		b.to = max(b.to, to)
		return
	}
	b.path()
	b.from, b.to = from, to
}

// path finishes the last bar and returns the path of all.
func (b *bars) path() string {
	if b.from < b.to {
		b.done.WriteString(bar(b.from, b.to, b.top, 56))
		b.from, b.to = 0, 0
	}
	return b.done.String()
}

func bar(from, to, top, bottom int) string {
	return fmt.Sprintf("M%d %dH%dV%dH%dZ", from, top, to, bottom, from)
}

// Overview, OverviewDesc, Ticks, Row, RowTitle and Scale are the charts for the template.

// Overview is the chart of the whole run.
func (v view) Overview() []mark { return v.chart.overview() }

// OverviewDesc says in words what it shows.
func (v view) OverviewDesc() string {
	passed := v.Run.Counts[record.Passed]
	return fmt.Sprintf(v.Words.OverviewDesc, len(v.Run.Steps), passed, len(v.Run.Steps)-passed, v.Time(v.Run.Duration))
}

// Ticks are times along the whole run.
func (v view) Ticks() []string {
	var ticks []string
	for quarter := range 5 {
		ticks = append(ticks, v.Time(v.Run.Duration/4*time.Duration(quarter)))
	}
	return ticks
}

// Row is the chart of a step.
func (v view) Row(s record.StepResult) []mark { return v.chart.row(s, v.again[s.Index]) }

// RowTitle says in words what it shows.
func (v view) RowTitle(s record.StepResult) string {
	return fmt.Sprintf(v.Words.RowTitle, s.StepID, v.Words.Results[s.Outcome], v.Time(s.Took), v.Wait(s.Timeout))
}

// Scale is the axis of the rows.
func (v view) Scale() string { return fmt.Sprintf(v.Words.Scale, v.Time(v.chart.end)) }

// A sample is a symbol of the charts with its meaning.
type sample struct {
	Mark mark
	Word string
}

// Legend has a sample of each symbol.
func (v view) Legend() []sample {
	w := v.Words
	return []sample{
		{mark{"wp", bar(0, 40, 4, 12)}, w.LegendReply}, {mark{"wf", bar(0, 40, 4, 12)}, w.LegendRefused},
		{mark{"wt", bar(1, 39, 4, 12)}, w.LegendNone}, {mark{"wb", bar(1, 39, 4, 12)}, w.LegendBroken},
		{mark{"l", "M20 0V20"}, w.LegendLimit}, {mark{"x", "M15 4L24 10L15 16Z"}, w.LegendBeyond},
		{mark{"d", bar(1, 39, 8, 14)}, w.LegendDeclared}, {mark{"k", "M0 11H40"}, w.LegendKept},
		{mark{"a", "M20 2L26 10L20 18L14 10Z"}, w.LegendLate}, {mark{"g", "M15 5L20 12L25 5Z"}, w.LegendDuplicate},
	}
}
