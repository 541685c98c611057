package html

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// chartWidth is the width of every chart in its own units. The page scales it to fit.
const chartWidth = 1000

// farTimes bounds the axis of the rows: a timeout longer than this many times everything that
// happened is shown as an arrow, so that the rest stays readable.
const farTimes = 10

// A chart draws the steps of one run.
type chart struct {
	run record.Run
	end time.Duration // of the rows' axis, which begins when a step is sent
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

// scale returns the position of d on an axis that ends at end.
func scale(d, end time.Duration) int {
	if end <= 0 {
		return 0
	}
	return int(min(max(float64(d)/float64(end), 0), 1) * chartWidth)
}

// A mark is one path of a chart, with its class in the style sheet.
type mark struct{ Class, Path string }

func bar(from, to, top, bottom int) string {
	return fmt.Sprintf("M%d %dH%dV%dH%dZ", from, top, to, bottom, from)
}

func diamond(x, top, halfWidth int) string {
	return fmt.Sprintf("M%d %dL%d %dL%d %dL%d %dZ", x, top, x+halfWidth, top+8, x, top+16, x-halfWidth, top+8)
}

// waitClass is the class of the wait for a reply; empty if the step was not sent.
func waitClass(s record.StepResult) string {
	if s.Outcome == record.NotRun || s.Outcome == record.Unreachable {
		return ""
	}
	class, _ := look(s.Outcome)
	return "w" + class
}

// row returns the chart of a step: the wait for the reply, the timeout, the declared and the
// actual interval, the late reply and the duplicates.
func (c chart) row(s record.StepResult, duplicates []record.Event) []mark {
	wait := waitClass(s)
	if wait == "" {
		return nil
	}
	at := func(d time.Duration) int { return scale(d, c.end) }
	took := at(s.Took)
	marks := []mark{{wait, bar(0, max(took, 3), 4, 12)}}
	if s.Timeout <= c.end {
		marks = append(marks, mark{"l", fmt.Sprintf("M%d 0V20", at(s.Timeout))})
	} else {
		marks = append(marks, mark{"x", "M990 4L999 10L990 16Z"})
	}
	if s.Kept.Declared {
		if s.Interval > 0 {
			marks = append(marks, mark{"d", bar(took, at(s.Took+s.Interval), 12, 18)})
		}
		marks = append(marks, mark{"k", fmt.Sprintf("M%d 15H%d", took, at(s.Took+s.Kept.Duration))})
	}
	if s.Late != nil {
		marks = append(marks, mark{"a", diamond(at(s.Late.Took), 2, 6)})
	}
	for _, e := range duplicates[:min(len(duplicates), 8)] {
		x := at(e.At - s.SentAt)
		marks = append(marks, mark{"g", fmt.Sprintf("M%d 1L%d 6L%d 1Z", x-5, x, x+5)})
	}
	return marks
}

// An overview is the chart of the whole run.
type overview struct {
	Marks       []mark
	Description string
	Ticks       []string // times along the axis
}

// overview draws the steps of one class as one path, and steps that touch as one bar, so that
// its size does not grow with the number of steps.
func (c chart) overview(w *words) overview {
	run := c.run
	at := func(d time.Duration) int { return scale(d, run.Duration) }
	paths, waits := map[string]string{}, map[string]*bars{}
	drawn := map[int]bool{} // late replies
	lastPause := -1
	for _, s := range run.Steps {
		class := waitClass(s)
		if class == "" {
			continue
		}
		if waits[class] == nil {
			waits[class] = &bars{tall: s.Outcome != record.Passed}
		}
		from, to := at(s.SentAt), at(s.SentAt+s.Took)
		waits[class].add(from, max(to, from+2))
		if until := at(s.SentAt + s.Took + s.Kept.Duration); until > max(to, lastPause) {
			paths["k"] += fmt.Sprintf("M%d 52H%d", to, until)
			lastPause = until
		}
		if s.Late == nil {
			continue
		}
		if x := at(s.SentAt + s.Late.Took); !drawn[x] {
			drawn[x] = true
			paths["a"] += diamond(x, 20, 5)
		}
	}
	for class, b := range waits {
		paths[class] = b.path()
	}
	passed := run.Counts[record.Passed]
	view := overview{Description: fmt.Sprintf(w.OverviewDesc, len(run.Steps), passed, len(run.Steps)-passed, w.Time(run.Duration))}
	for _, class := range []string{"k", "wp", "wf", "wt", "wb", "wn", "a"} {
		if paths[class] != "" {
			view.Marks = append(view.Marks, mark{class, paths[class]})
		}
	}
	for quarter := range 5 {
		view.Ticks = append(view.Ticks, w.Time(time.Duration(quarter)*(run.Duration/4)))
	}
	return view
}

// bars are the bars of one class in the overview.
type bars struct {
	tall     bool
	done     strings.Builder
	from, to int // the last bar, not yet in done; none if equal
}

// add adds a bar, which begins no earlier than those before.
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
	top := 34
	if b.tall {
		top = 4
	}
	if b.from < b.to {
		b.done.WriteString(bar(b.from, b.to, top, 56))
		b.from, b.to = 0, 0
	}
	return b.done.String()
}

// A sample is a mark of the charts with its meaning.
type sample struct {
	Mark mark
	Word string
}

func legend(w *words) []sample {
	return []sample{
		{mark{"wp", bar(0, 40, 4, 12)}, w.LegendReply}, {mark{"wf", bar(0, 40, 4, 12)}, w.LegendRefused},
		{mark{"wt", bar(1, 39, 4, 12)}, w.LegendNone}, {mark{"wb", bar(1, 39, 4, 12)}, w.LegendBroken},
		{mark{"l", "M20 0V20"}, w.LegendLimit}, {mark{"x", "M15 4L24 10L15 16Z"}, w.LegendBeyond},
		{mark{"d", bar(1, 39, 8, 14)}, w.LegendDeclared}, {mark{"k", "M0 11H40"}, w.LegendKept},
		{mark{"a", diamond(20, 2, 6)}, w.LegendLate}, {mark{"g", "M15 5L20 12L25 5Z"}, w.LegendDuplicate},
	}
}
