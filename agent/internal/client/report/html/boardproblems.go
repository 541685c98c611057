package html

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// maxNamedBoards is how many boards of one problem are named.
const maxNamedBoards = 40

// A boardsProblem is one way in which steps did not pass, on one board or several.
type boardsProblem struct {
	Class, Reason, Sentence string
	Boards                  []*boardRow // those that are named
	More                    string      // how many more there are; empty for none
}

// problemsOfBoards returns the ways in which steps did not pass, in the order of the boards, with the
// boards on which they occurred.
func problemsOfBoards(w *words, rows []boardRow) []boardsProblem {
	type key struct{ reason, sentence string }
	var all []boardsProblem
	at := map[key]int{}
	boards := map[key]int{}
	others := 0
	add := func(r *boardRow, p rowProblem) {
		k := key{p.Reason, p.Sentence}
		boards[k]++
		i, known := at[k]
		switch {
		case known && len(all[i].Boards) == maxNamedBoards:
			all[i].More = fmt.Sprintf(w.More, boards[k]-maxNamedBoards)
		case known:
			all[i].Boards = append(all[i].Boards, r)
		case len(all) == maxProblems:
			others++
		default:
			at[k] = len(all)
			all = append(all, boardsProblem{Class: p.Class, Reason: p.Reason, Sentence: p.Sentence, Boards: []*boardRow{r}})
		}
	}
	for i := range rows {
		r := &rows[i]
		if r.Result == report.BoardNotRun {
			add(r, rowProblem{Class: r.Class, Sentence: r.Sentence})
		}
		for _, p := range r.Problems {
			add(r, p)
		}
	}
	if others > 0 {
		all = append(all, boardsProblem{Class: "b", Sentence: fmt.Sprintf(w.Boards.OtherProblems, others)})
	}
	return all
}
