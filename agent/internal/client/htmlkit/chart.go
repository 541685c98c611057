package htmlkit

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// ChartWidth is the width of every chart in its own units. The page scales it to fit.
const ChartWidth = 1000

// Scale returns the position of d on an axis that ends at end, from 0 to ChartWidth.
func Scale(d, end time.Duration) int {
	if end <= 0 {
		return 0
	}
	return int(min(max(float64(d)/float64(end), 0), 1) * ChartWidth)
}

// A Mark is one path of a chart, with its class in the style sheet.
type Mark struct{ Class, Path string }

// Bar returns the path of a rectangle.
func Bar(from, to, top, bottom int) string {
	return fmt.Sprintf("M%d %dH%dV%dH%dZ", from, top, to, bottom, from)
}

// Diamond returns the path of a diamond of height 16.
func Diamond(x, top, halfWidth int) string {
	return fmt.Sprintf("M%d %dL%d %dL%d %dL%d %dZ", x, top, x+halfWidth, top+8, x, top+16, x-halfWidth, top+8)
}

// Look returns an outcome's class in the style sheet, and a symbol for readers who see no colours.
func Look(outcome record.Outcome) (class, symbol string) {
	switch outcome {
	case record.Passed:
		return "p", "✓"
	case record.Failed:
		return "f", "✗"
	case record.TimedOut:
		return "t", "◷"
	case record.NotRun, record.Unanswered:
		return "n", "–"
	default:
		return "b", "!"
	}
}
