package html

import (
	"fmt"
	"html/template"
	"iter"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A boardsPage holds everything that the template of the page of several boards shows.
type boardsPage struct {
	Lang           Language
	Words          *words
	Style          template.CSS
	Policy         string // of the header Content-Security-Policy
	Tally          report.Tally
	Mark, Sentence string // the verdict as a word and as a sentence
	Subtitle       string
	Started        string // empty if no run was begun
	Counts         []boardCount

	Problems []boardsProblem
	Caption  string
	Rows     []boardRow
	Legend   []sample

	Start  record.Start // of the first board that has one
	Agents []agentCount
	Terms  []term

	alone string // the sentence of the only board
}

// A boardCount says how many boards have a result, and which row is the first of them.
type boardCount struct {
	Class, Symbol, Word string
	Count, First        int
}

// An agentCount is a name and version of an agent and the number of boards with it, in words.
type agentCount struct {
	Agent, Boards string
	boards        int
}

func newBoardsPage(boards iter.Seq[report.Board], language Language, link func(string) string) (*boardsPage, error) {
	w := wordsOf(language)
	style, err := w.style("style.css", "boards.css")
	if err != nil {
		return nil, err
	}
	p := &boardsPage{
		Lang: language, Words: w,
		Style:  template.CSS(style), // embedded files with words of the catalogue
		Policy: policy(style),
		Legend: stripLegend(w), Terms: append([]term{w.Boards.Term}, w.Terms...),
	}
	for b := range boards {
		p.add(b, link)
	}
	p.finish()
	return p, nil
}

// add adds the row of a board, and what the rest of the page says of it.
func (p *boardsPage) add(b report.Board, link func(string) string) {
	p.Tally.Add(b)
	r := newBoardRow(p.Words, p.Tally.Total(), b)
	if link != nil {
		r.Link = link(b.Name)
	}
	p.Rows = append(p.Rows, r)
	if p.alone = p.Words.sentence(b.Run); b.Result() == report.BoardNotRun {
		p.alone = r.Sentence
	}
	if p.Start.Procedure.Name == "" {
		p.Start = b.Run.Start
	}
	for _, agent := range b.Run.Agents {
		i := slices.IndexFunc(p.Agents, func(a agentCount) bool { return a.Agent == agent })
		switch {
		case i >= 0:
			p.Agents[i].boards++
		case len(p.Agents) < maxAgentsListed:
			p.Agents = append(p.Agents, agentCount{Agent: agent, boards: 1})
		}
	}
}

// maxAgentsListed is how many names and versions of agents the page lists; an agent may send any.
const maxAgentsListed = 20

// finish computes what depends on all boards.
func (p *boardsPage) finish() {
	w := p.Words
	p.Mark, p.Sentence = w.Marks[p.Tally.Verdict()], p.sentence()
	p.Subtitle = fmt.Sprintf(w.Boards.Subtitle, logging.Clean(p.Start.Procedure.Name), w.boards(len(p.Rows)))
	if began := p.Tally.Started(); !began.IsZero() {
		p.Started = began.Format(startFormat)
	}
	for _, result := range report.BoardResults() {
		count := boardCount{Word: w.Boards.Results[result], Count: p.Tally.Count(result)}
		count.Class, count.Symbol = lookOfBoard(result)
		count.First = 1 + slices.IndexFunc(p.Rows, func(r boardRow) bool { return r.Result == result })
		if count.Count > 0 {
			p.Counts = append(p.Counts, count)
		}
	}
	p.Problems = problemsOfBoards(w, p.Rows)
	linked, steps := false, 0
	for _, r := range p.Rows {
		linked, steps = linked || r.Link != "", max(steps, r.Strip.Steps)
	}
	p.Caption = w.Boards.Caption
	if linked {
		p.Caption += " " + w.Boards.CaptionLinks
	}
	if steps > 1 {
		p.Caption += " " + fmt.Sprintf(w.Boards.Binned, steps)
	}
	for i, a := range p.Agents {
		p.Agents[i].Boards = w.boards(a.boards)
	}
}

// sentence says in one sentence how the run went on all boards.
func (p *boardsPage) sentence() string {
	w, t := p.Words, &p.Tally
	total, passed := t.Total(), t.Count(report.BoardPassed)
	switch {
	case total == 0:
		return w.Nothing
	case total == 1:
		return p.alone
	case passed == total:
		return fmt.Sprintf(w.Boards.Pass, total)
	case t.Count(report.BoardUnreached) == total:
		return fmt.Sprintf(w.Boards.Unreached, total)
	case t.Verdict() == record.Fail:
		return fmt.Sprintf(w.Boards.Fail, total-passed, total)
	default:
		return fmt.Sprintf(w.Boards.Open, total-passed, total)
	}
}

// boards returns a number of boards in words.
func (w *words) boards(n int) string {
	if n == 1 {
		return fmt.Sprintf(w.Boards.Board, n)
	}
	return fmt.Sprintf(w.Boards.Boards, n)
}

// lookOfBoard returns the class of a result in the style sheet, and a symbol for readers who see no colours.
func lookOfBoard(result report.BoardResult) (class, symbol string) {
	switch result {
	case report.BoardPassed:
		return "p", "✓"
	case report.BoardFailed:
		return "f", "✗"
	case report.BoardUnreached:
		return "b", "!"
	default:
		return "n", "–"
	}
}
