package junit

import (
	"cmp"
	"fmt"
	"io"
	"iter"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// WriteAll writes the runs on several boards as one JUnit document: a suite as that of Write for each
// board. Names of suites and classes of cases have the name of the board, because GitLab shows one of
// two cases with the same class and name, and Jenkins may drop one of two suites with the same name.
// The suite of a board that was not reached has one case, "connect", with an error, and that of a run
// that was not begun has one case "start". WriteAll holds one board at a time in memory.
func WriteAll(w io.Writer, boards iter.Seq[report.Board]) error {
	return encode(w, func(yield func(suite) bool) {
		id := 0
		taken := map[string]bool{}
		for b := range boards {
			class := unique(taken, classOf(b.Run.Start.Procedure.Name, b.Name))
			s := boardSuite(b, class)
			s.ID = id
			id++
			if !yield(s) {
				return
			}
		}
	})
}

// unique returns a class that is not taken: a.b and a_b have the same one.
func unique(taken map[string]bool, class string) string {
	name := class
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", class, n)
	}
	taken[name] = true
	return name
}

// boardSuite returns the suite of a board, with cases of a class.
func boardSuite(b report.Board, class string) suite {
	run := b.Run
	run.Start.Address = cmp.Or(run.Start.Address, b.Address)
	s := newSuite(run)
	s.Name += "@" + logging.Clean(b.Name)
	s.Properties = append(s.Properties, property{"board", logging.Clean(b.Name)})
	switch b.Result() {
	case report.BoardUnreached:
		why := report.Sentence(run)
		p := newProblem(why, record.Unreachable.String())
		if len(run.Steps) > 0 {
			p.Message = cmp.Or(report.Detail(run.Steps[0]), why)
		}
		s.add(testCase{Name: "connect", Class: class, Time: s.Time, Error: p})
	case report.BoardNotRun:
		s.Out = ""
		s.add(testCase{Name: "start", Class: class, Time: s.Time, Error: newProblem("the run was not begun", record.NotRun.String())})
	default:
		s.addCases(run, class)
	}
	return s
}
