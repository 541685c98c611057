package html

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

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

// waitClass is the class of the wait for a reply; empty if the step was not sent.
func waitClass(s record.StepResult) string {
	if s.Outcome == record.NotRun || s.Outcome == record.Unreachable {
		return ""
	}
	class, _ := htmlkit.Look(s.Outcome)
	return "w" + class
}

// row returns the chart of a step: the wait for the reply, the timeout, the declared and the
// actual interval, the late reply and the duplicates.
func (c chart) row(s record.StepResult, duplicates []record.Event) []htmlkit.Mark {
	wait := waitClass(s)
	if wait == "" {
		return nil
	}
	at := func(d time.Duration) int { return htmlkit.Scale(d, c.end) }
	took := at(s.Took)
	marks := []htmlkit.Mark{{Class: wait, Path: htmlkit.Bar(0, max(took, 3), 4, 12)}}
	if s.Timeout <= c.end {
		marks = append(marks, htmlkit.Mark{Class: "l", Path: fmt.Sprintf("M%d 0V20", at(s.Timeout))})
	} else {
		marks = append(marks, htmlkit.Mark{Class: "x", Path: "M990 4L999 10L990 16Z"})
	}
	if s.Kept.Declared {
		if s.Interval > 0 {
			marks = append(marks, htmlkit.Mark{Class: "d", Path: htmlkit.Bar(took, at(s.Took+s.Interval), 12, 18)})
		}
		marks = append(marks, htmlkit.Mark{Class: "k", Path: fmt.Sprintf("M%d 15H%d", took, at(s.Took+s.Kept.Duration))})
	}
	if s.Late != nil {
		marks = append(marks, htmlkit.Mark{Class: "a", Path: htmlkit.Diamond(at(s.Late.Took), 2, 6)})
	}
	for _, e := range duplicates[:min(len(duplicates), 8)] {
		x := at(e.At - s.SentAt)
		marks = append(marks, htmlkit.Mark{Class: "g", Path: fmt.Sprintf("M%d 1L%d 6L%d 1Z", x-5, x, x+5)})
	}
	return marks
}

// An overview is the chart of the whole run.
type overview struct {
	Marks       []htmlkit.Mark
	Description string
	Ticks       []string // times along the axis
}

// overview draws the steps of one class as one path, and steps that touch as one bar, so that
// its size does not grow with the number of steps.
func (c chart) overview(w *words) overview {
	run := c.run
	at := func(d time.Duration) int { return htmlkit.Scale(d, run.Duration) }
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
			paths["a"] += htmlkit.Diamond(x, 20, 5)
		}
	}
	for class, b := range waits {
		paths[class] = b.path()
	}
	passed := run.Counts[record.Passed]
	view := overview{Description: fmt.Sprintf(w.OverviewDesc, len(run.Steps), passed, len(run.Steps)-passed, w.Time(run.Duration))}
	for _, class := range []string{"k", "wp", "wf", "wt", "wb", "wn", "a"} {
		if paths[class] != "" {
			view.Marks = append(view.Marks, htmlkit.Mark{Class: class, Path: paths[class]})
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
		b.done.WriteString(htmlkit.Bar(b.from, b.to, top, 56))
		b.from, b.to = 0, 0
	}
	return b.done.String()
}

// A sample is a mark of the charts with its meaning.
type sample struct {
	Mark htmlkit.Mark
	Word string
}

func legend(w *words) []sample {
	return []sample{
		{htmlkit.Mark{Class: "wp", Path: htmlkit.Bar(0, 40, 4, 12)}, w.LegendReply}, {htmlkit.Mark{Class: "wf", Path: htmlkit.Bar(0, 40, 4, 12)}, w.LegendRefused},
		{htmlkit.Mark{Class: "wt", Path: htmlkit.Bar(1, 39, 4, 12)}, w.LegendNone}, {htmlkit.Mark{Class: "wb", Path: htmlkit.Bar(1, 39, 4, 12)}, w.LegendBroken},
		{htmlkit.Mark{Class: "l", Path: "M20 0V20"}, w.LegendLimit}, {htmlkit.Mark{Class: "x", Path: "M15 4L24 10L15 16Z"}, w.LegendBeyond},
		{htmlkit.Mark{Class: "d", Path: htmlkit.Bar(1, 39, 8, 14)}, w.LegendDeclared}, {htmlkit.Mark{Class: "k", Path: "M0 11H40"}, w.LegendKept},
		{htmlkit.Mark{Class: "a", Path: htmlkit.Diamond(20, 2, 6)}, w.LegendLate}, {htmlkit.Mark{Class: "g", Path: "M15 5L20 12L25 5Z"}, w.LegendDuplicate},
	}
}
