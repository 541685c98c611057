package web

import (
	"fmt"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
)

// A plot shows the response times of one step in several runs, the oldest first.
type plot struct {
	Marks []htmlkit.Mark
	Top   string // the upper end of the axis, which begins at 0
	// Beyond says that the timeout is beyond the axis.
	Beyond bool
}

const (
	plotHeight = 160
	// plotFar is how many times the largest response a timeout may be to be in the plot.
	plotFar = 4
	// window is how many values the running median has.
	window = 9
)

// A point is a step in one run.
type point struct {
	took   float64 // seconds; meaningless without a reply
	reply  bool
	passed bool
	run    bool // the step was sent
}

// newPlot returns the plot of points with the timeout, in seconds, the baseline's spread, if it has values, and
// a line before the point at which the level changed, if that is not negative.
func newPlot(v *view, points []point, timeout float64, baseline statistics.Summary, changed int) plot {
	largest := baseline.Upper
	for _, p := range points {
		if p.reply {
			largest = max(largest, p.took)
		}
	}
	top := largest * 1.15
	pl := plot{Beyond: timeout > plotFar*largest}
	if !pl.Beyond {
		top = max(top, timeout*1.05)
	}
	top = max(top, 1e-6)
	pl.Top = v.Words.Time(database.Duration(top))
	x := func(i int) int { return (2*i + 1) * htmlkit.ChartWidth / (2 * len(points)) }
	y := func(seconds float64) int {
		return plotHeight - htmlkit.Scale(database.Duration(seconds), database.Duration(top))*plotHeight/htmlkit.ChartWidth
	}
	add := func(class, path string) {
		if path != "" {
			pl.Marks = append(pl.Marks, htmlkit.Mark{Class: class, Path: path})
		}
	}
	if baseline.N > 0 {
		add("band", htmlkit.Bar(0, htmlkit.ChartWidth, y(baseline.Upper), max(y(baseline.Lower), y(baseline.Upper)+2)))
		add("base", fmt.Sprintf("M0 %dH%d", y(baseline.Median), htmlkit.ChartWidth))
	}
	if !pl.Beyond {
		add("l", fmt.Sprintf("M0 %dH%d", y(timeout), htmlkit.ChartWidth))
	}
	if changed >= 0 {
		add("changed", fmt.Sprintf("M%d 0V%d", changed*htmlkit.ChartWidth/len(points), plotHeight))
	}
	add("med", medianPath(points, x, y))
	var passed, failed strings.Builder
	for i, p := range points {
		switch {
		case !p.run:
		case p.passed:
			fmt.Fprintf(&passed, "M%d %dh0", x(i), y(p.took)) // a round end makes it a dot
		case p.reply:
			fmt.Fprintf(&failed, "M%d %dh0", x(i), y(p.took))
		default:
			fmt.Fprintf(&failed, "M%d 4h0", x(i)) // no reply: at the upper edge
		}
	}
	add("dot-p", passed.String())
	add("dot-f", failed.String())
	return pl
}

// medianPath returns the running median of the steps that passed.
func medianPath(points []point, x func(int) int, y func(float64) int) string {
	var path strings.Builder
	var last []float64
	for i, p := range points {
		if !p.passed {
			continue
		}
		if last = append(last, p.took); len(last) > window {
			last = last[1:]
		}
		command := "L"
		if path.Len() == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%d %d", command, x(i), y(statistics.Summarize(last).Median))
	}
	return path.String()
}

// A sample is a part of a plot with its meaning.
type sample struct {
	Marks []htmlkit.Mark
	Word  string
}

// PlotLegend returns the parts of plots.
func (v *view) PlotLegend() []sample {
	w := v.Words
	one := func(class, path, word string) sample { return sample{[]htmlkit.Mark{{Class: class, Path: path}}, word} }
	return []sample{
		one("dot-p", "M20 10h0", w.DotPassed), one("dot-f", "M20 10h0", w.DotFailed), one("med", "M0 14L14 8L26 10L40 6", w.RunningMedian),
		one("l", "M0 10H40", w.TimeoutLine), one("changed", "M20 0V20", w.ChangeLine),
		{[]htmlkit.Mark{{Class: "band", Path: htmlkit.Bar(0, 40, 4, 16)}, {Class: "base", Path: "M0 10H40"}}, w.BaselineBand},
	}
}
