package tap

import (
	"bufio"
	"io"
	"iter"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// subtest is the indent of a subtest.
const subtest = "    "

// WriteAll writes the runs on several boards: a test point for each board, and before it the points
// of its steps as a subtest. A board that was not reached, or whose run was not begun, has no
// subtest. Every board that did not pass is "not ok". WriteAll holds one board at a time in memory.
func WriteAll(w io.Writer, boards iter.Seq[report.Board]) error {
	out := bufio.NewWriter(w) // Flush returns the first error
	p := printer{out, ""}
	p.line("TAP version 14")
	var tally report.Tally
	for b := range boards {
		tally.Add(b)
		name := strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(logging.Clean(b.Name))
		result := b.Result()
		if result != report.BoardUnreached && result != report.BoardNotRun {
			p.line("# Subtest: %s", name)
			printer{out, subtest}.points(b.Run)
		}
		p.point(result == report.BoardPassed, tally.Total(), name)
		p.line("  ---\n  result: %s\n  address: %s\n  detail: %s\n  duration_ms: %.6f\n  ...",
			result, quoted(b.Address), quoted(b.Sentence()), b.Run.Duration.Seconds()*1000)
	}
	p.line("1..%d", tally.Total())
	p.line("# %s", tally.Sentence())
	return out.Flush()
}
