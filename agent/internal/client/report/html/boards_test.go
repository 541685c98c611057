package html

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/testkit/cataloguetest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// renderAll returns the page of boards, each of which has a page of its own.
func renderAll(t *testing.T, language Language, boards ...report.Board) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteAll(&b, slices.Values(boards), language, func(board string) string { return "pages/" + board + ".html" }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// onBoard returns a board with a run.
func onBoard(name string, run record.Run, cause record.Cause, verdict record.Verdict) report.Board {
	run.Cause, run.Verdict = cause, verdict
	run.Start.Procedure, run.Start.Address = record.Procedure{Name: "s.json", SHA256: "ab"}, name+":8080"
	run.Start.Client, run.Start.Host, run.Start.Time = "1.2.0", "laptop", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return report.Board{Name: name, Address: name + ":8080", Run: run}
}

// lost is a run that reached no agent.
func lost(n int) record.Run {
	run := long(n)
	run.Counts, run.Duration = record.Counts{record.Unreachable: 1, record.NotRun: n - 1}, 5*time.Second
	for i := range run.Steps {
		run.Steps[i] = record.StepResult{Index: i + 1, Step: run.Steps[i].Step}
	}
	run.Steps[0].Outcome, run.Steps[0].Reason = record.Unreachable, protocol.Unreachable
	run.Steps[0].Detail = "the agent cannot be reached: dial tcp 192.0.2.7:8080: connect: connection refused"
	return run
}

// stopped is a run of n steps that was interrupted after a step.
func stopped(n, after int) record.Run {
	run := long(n)
	run.Counts = record.Counts{record.Passed: after, record.NotRun: n - after}
	for i := after; i < n; i++ {
		run.Steps[i] = record.StepResult{Index: i + 1, Step: run.Steps[i].Step}
	}
	return run
}

// lab returns boards of every result.
func lab() []report.Board {
	agents := func(b report.Board, version string) report.Board {
		b.Run.Agents = []string{"stepagent " + version}
		return b
	}
	return []report.Board{
		agents(onBoard("a", long(10), record.Finished, record.Pass), "1.2.0"),
		agents(onBoard("b", long(10, 3, 7), record.Finished, record.Fail), "1.2.0"),
		onBoard("c", lost(10), record.Lost, record.Fail),
		agents(onBoard("d", stopped(10, 4), record.Interrupted, record.Undecided), "1.1.0"),
		{Name: "e", Address: "e:8080"},
	}
}

func TestPageOfBoards(t *testing.T) {
	for language, wants := range map[Language][]string{
		English: {
			"<title>FAIL: s.json on 5 boards – Test report</title>", "<h1>The test failed: 4 of 5 boards did not pass.</h1>",
			`<a href="#b1"><span aria-hidden="true">✓</span> passed <b>1</b></a>`, `<a href="#b3"><span aria-hidden="true">!</span> not reached <b>1</b></a>`,
			`<code>out_of_order</code> Refused by the agent. The step was out of order.`,
			`<a href="pages/b.html"><bdi>b</bdi></a> <small><bdi>b:8080</bdi></small>`,
			`<title>10 steps: 8 passed, 2 did not</title>`, `<title>Step 7: refused</title>`,
			`Steps: <a href="pages/b.html#s3">3</a> <a href="pages/b.html#s7">7</a></span>`,
			"<p>The test could not start: no agent could be reached at c:8080, and nothing was sent.</p>",
			"<p>The run was not begun.</p>", "<dd>stepagent 1.2.0: 2 boards</dd><dd>stepagent 1.1.0: 1 board</dd>",
			"Each name links to the report of the board.",
		},
		Korean: {
			"<title>불합격: 절차 s.json, 보드 5대 – 시험 보고서</title>", "<h1>시험 결과는 불합격입니다. 전체 보드 5대 중 4대가 합격하지 못했습니다.</h1>",
			`</span> 합격 <b>1</b></a>`, `</span> 연결 실패 <b>1</b></a>`, "<title>단계 7: 거부</title>",
			"<p>연결이 거부되었습니다. 해당 포트에서 수신 대기 중인 프로그램이 없습니다.</p>", "<dd>stepagent 1.2.0: 보드 2대</dd>",
		},
	} {
		page := renderAll(t, language, lab()...)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("the page in %s lacks %s", language, want)
			}
		}
	}
}

func TestSentenceOfBoards(t *testing.T) {
	good, bad := onBoard("a", long(2), record.Finished, record.Pass), onBoard("b", long(2, 1), record.Finished, record.Fail)
	gone, open := onBoard("c", lost(2), record.Lost, record.Fail), onBoard("d", stopped(2, 1), record.Interrupted, record.Undecided)
	for want, boards := range map[string][]report.Board{
		"The test passed on all 2 boards.":                                                       {good, good},
		"The test failed: 2 of 3 boards did not pass.":                                           {good, bad, gone},
		"There is no verdict: 1 of 2 boards did not finish.":                                     {good, open},
		"The test could not start: none of the 2 boards could be reached, and nothing was sent.": {gone, gone},
		"The test passed: all 2 steps were answered in order and in time.":                       {good},
		"The test could not start: no agent could be reached at c:8080, and nothing was sent.":   {gone},
		"No step was run, so there is no verdict.":                                               nil,
	} {
		if page := renderAll(t, English, boards...); !strings.Contains(page, "<h1>"+want+"</h1>") {
			t.Errorf("the page does not say %s", want)
		}
	}
}

// The page of boards has the structure and the limits of the page of a run: links lead to rows or to the
// boards' pages, nothing is loaded, and each language has its words.
func TestPageOfBoardsIsSelfContained(t *testing.T) {
	labs := [][]report.Board{lab(), nil, {onBoard("a", everything(t), record.Finished, record.Fail)}}
	for _, boards := range labs {
		for _, language := range []Language{English, Korean} {
			page := renderAll(t, language, boards...)
			ids, links := map[string]int{}, []string{}
			walk(t, page, func(n *html.Node) {
				ids[attribute(n, "id")]++
				for _, a := range n.Attr {
					switch {
					case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src":
						t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
					case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
						links = append(links, a.Val[1:])
					case a.Key == "href" && a.Val != "data:," && !strings.HasPrefix(a.Val, "pages/"):
						t.Errorf("%s leads to %q", n.Data, a.Val)
					}
				}
			})
			for _, link := range links {
				if ids[link] != 1 {
					t.Errorf("%d elements are the target of #%s", ids[link], link)
				}
			}
			if strings.Contains(page, "ZgotmplZ") || !strings.Contains(page, "default-src &#39;none&#39;;") {
				t.Error("the page has an unsafe value or no policy")
			}
			if language == English && strings.ContainsFunc(page, cataloguetest.Hangul) {
				t.Error("the English page has Korean")
			}
		}
	}
	root, err := html.Parse(strings.NewReader(renderAll(t, Korean, lab()...)))
	if err != nil {
		t.Fatal(err)
	}
	if left := englishSentence.FindString(said(root)); left != "" {
		t.Errorf("the Korean page says %q", left)
	}
}

// A page without links to pages of boards has none, and says nothing of them.
func TestBoardsWithoutPages(t *testing.T) {
	var b bytes.Buffer
	if err := WriteAll(&b, slices.Values(lab()), English, nil); err != nil {
		t.Fatal(err)
	}
	if page := b.String(); strings.Contains(page, ".html") || strings.Contains(page, "links to the report") {
		t.Error("the page names pages of boards")
	}
}

// Names of boards and texts of agents never change the elements of the page.
func TestHostileBoards(t *testing.T) {
	evil := "</td></table><script>alert(1)</script>\x00\x1b[2J\u202e\"' onload=\"x\" javascript:alert(1) {{.}} \xff"
	page := func(text string) string {
		board := onBoard(text, everything(t), record.Finished, record.Fail)
		board.Run.Start.Procedure.Name, board.Run.Agents = text, []string{text}
		for i := range board.Run.Steps {
			if board.Run.Steps[i].Outcome == record.Failed {
				board.Run.Steps[i].Reason = protocol.Reason(text)
			}
		}
		gone := onBoard(text+"2", lost(3), record.Lost, record.Fail)
		gone.Run.Steps[0].Detail = text
		var b bytes.Buffer
		if err := WriteAll(&b, slices.Values([]report.Board{board, gone}), English, func(board string) string { return board }); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	elements := func(page string) string {
		var b strings.Builder
		walk(t, page, func(n *html.Node) {
			b.WriteString(n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteString("\n")
		})
		return b.String()
	}
	got := page(evil)
	if elements(got) != elements(page("harmless")) {
		t.Error("a text changed the elements of the page")
	}
	if strings.ContainsAny(got, "\x00\x1b\u202e") || !utf8.ValidString(got) || strings.Contains(page("javascript:alert(1)"), `href="javascript`) {
		t.Error("a control character or a script got through")
	}
}

// Rows have the numbers of the boards in data elements.
func TestNumbersOfBoards(t *testing.T) {
	boards := lab()
	rows := 0
	walk(t, renderAll(t, English, boards...), func(n *html.Node) {
		if attribute(n, "data-result") == "" {
			return
		}
		b := boards[rows]
		rows++
		var values []string
		for d := range n.Descendants() {
			if d.Data == "data" {
				values = append(values, attribute(d, "value"))
			}
		}
		seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
		want := []string{fmt.Sprint(b.Run.Counts[record.Passed]), fmt.Sprint(len(b.Run.Steps))}
		if b.Run.Counts[record.Passed] > 0 {
			want = append(want, "0.001234567")
		}
		want = append(want, seconds(b.Run.Duration))
		if attribute(n, "id") != fmt.Sprint("b", rows) || attribute(n, "data-result") != b.Result().String() || !slices.Equal(values, want) {
			t.Errorf("board %s: %s has %v, want %v", b.Name, attribute(n, "data-result"), values, want)
		}
	})
	if rows != len(boards) {
		t.Errorf("%d rows for %d boards", rows, len(boards))
	}
}

// generate yields n boards, each with a run made for it, so that no more than one is in memory.
func generate(n int, run func(i int) record.Run) iter.Seq[report.Board] {
	return func(yield func(report.Board) bool) {
		for i := range n {
			if !yield(onBoard(fmt.Sprintf("board-%03d", i), run(i), record.Finished, record.Fail)) {
				return
			}
		}
	}
}

// The page of 200 boards stays small, whatever happened on them.
func TestPageOfManyBoards(t *testing.T) {
	for name, tt := range map[string]struct {
		most int
		run  func(i int) record.Run
	}{
		"10 steps, some fail":      {400 << 10, func(i int) record.Run { return long(10, 1+i%30) }},
		"40 steps, all fail":       {2 << 20, func(int) record.Run { return failing(40, func(int) bool { return true }) }},
		"3000 steps, every second": {1 << 20, func(int) record.Run { return failing(3000, func(i int) bool { return i%60 < 30 }) }},
		"a reason for each step": {2 << 20, func(i int) record.Run {
			run := failing(30, func(int) bool { return true })
			for j := range run.Steps {
				run.Steps[j].Reason = protocol.Reason(fmt.Sprint(strings.Repeat("<", 600), i, j))
			}
			return run
		}},
	} {
		var b bytes.Buffer
		if err := WriteAll(&b, generate(200, tt.run), English, func(board string) string { return board + ".html" }); err != nil {
			t.Fatal(err)
		}
		if b.Len() > tt.most {
			t.Errorf("%s: the page has %d bytes, more than %d", name, b.Len(), tt.most)
		}
	}
}
