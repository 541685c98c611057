package html

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// anatomy describes a page: the rows of steps, the broken links, and the sums over its ranges.
type anatomy struct {
	rows         []int
	broken       []string
	ranges       int
	passed, rest int
}

func dissect(t *testing.T, text string) (a anatomy) {
	t.Helper()
	ids, links := map[string]bool{}, []string{}
	walk(t, text, func(n *html.Node) {
		ids[attribute(n, "id")] = true
		if href := attribute(n, "href"); strings.HasPrefix(href, "#") {
			links = append(links, href[1:])
		}
		switch {
		case n.Data == "tr" && attribute(n, "data-outcome") != "":
			index, _ := strconv.Atoi(attribute(n, "id")[1:])
			a.rows = append(a.rows, index)
		case n.Data == "tr" && strings.Contains(attribute(n.Parent.Parent, "class"), "ranges") && n.Parent.Data == "tbody":
			a.ranges++
			cells := regexp.MustCompile(`\d+`).FindAllString(said(n.FirstChild.NextSibling)+said(n.FirstChild.NextSibling.NextSibling), -1)
			for i, cell := range cells {
				number, _ := strconv.Atoi(cell)
				if i == 0 {
					a.passed += number
				} else {
					a.rest += number
				}
			}
		}
	})
	for _, link := range links {
		if !ids[link] {
			a.broken = append(a.broken, link)
		}
	}
	return a
}

// every returns the indexes up to n that are multiples of k.
func every(k, n int) (all []int) {
	for i := k; i <= n; i += k {
		all = append(all, i)
	}
	return all
}

// failing is like long, with a function that says which steps fail.
func failing(n int, fails func(index int) bool) record.Run {
	run := long(n)
	for i := range run.Steps {
		if s := &run.Steps[i]; fails(s.Index) {
			s.Outcome, s.Reason, s.Detail = record.Failed, protocol.OutOfOrder, "step 3 must come now, got 100"
			run.Verdict = record.Fail
			run.Counts[record.Passed]--
			run.Counts[record.Failed]++
		}
	}
	return run
}

// The size of a page is bounded: it has rows for failed steps up to a limit, and ranges for all.
func TestPagesOfManySteps(t *testing.T) {
	const most = 1 << 20
	tests := []struct {
		name   string
		run    record.Run
		rows   []int // nil for as many as there may be
		ranges int
		says   string
	}{
		{"as many as have a row each", failing(maxRows, func(i int) bool { return i == 7 }), every(1, maxRows), 0, "Steps no. 1 to 100: 99 passed, 1 did not"},
		{"one more", failing(maxRows+1, func(i int) bool { return i == 7 }), []int{7}, 11, "in ranges of up to 100"},
		{"all passed", long(40000), []int{}, 100, "in ranges of up to 400"},
		{"some failed", failing(40000, func(i int) bool { return i%400 == 0 }), every(400, 40000), 100, "Steps that did not pass"},
		{"half failed", failing(40000, func(i int) bool { return i%2 == 0 }), every(2, 2*maxRows), 100, "19000 more steps did not pass and are not listed."},
		{"all failed", failing(40000, func(int) bool { return true }), every(1, maxRows), 100, "39000 more steps did not pass and are not listed."},
		{"very many", failing(100500, func(i int) bool { return i == 100499 }), []int{100499}, 92, "in ranges of up to 1100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := render(t, tt.run, English)
			a := dissect(t, text)
			if len(text) > most {
				t.Errorf("the page has %d bytes, more than %d", len(text), most)
			}
			if !slices.Equal(a.rows, tt.rows) && len(a.rows)+len(tt.rows) > 0 {
				t.Errorf("%d rows, %.200v; want %d, %.200v", len(a.rows), a.rows, len(tt.rows), tt.rows)
			}
			if len(a.broken) > 0 {
				t.Errorf("links lead nowhere: %v", a.broken)
			}
			if a.ranges != tt.ranges {
				t.Errorf("%d ranges, want %d", a.ranges, tt.ranges)
			}
			if counts := tt.run.Counts; a.ranges > 0 && (a.passed != counts[record.Passed] || a.passed+a.rest != len(tt.run.Steps)) {
				t.Errorf("the ranges add up to %d passed and %d not, want %v", a.passed, a.rest, counts)
			}
			if !strings.Contains(text, tt.says) {
				t.Errorf("the page does not say %q", tt.says)
			}
		})
	}
}

// With hostile text from an agent, the page of a long run stays small and its links work.
func TestHostileLongRun(t *testing.T) {
	run := failing(10000, func(i int) bool { return i > 5000 })
	run.Counts = record.Counts{}
	lesses, others := strings.Repeat("<", 4000), strings.Repeat(`"&`, 2000)+"\x1b"
	for i := range run.Steps {
		s := &run.Steps[i]
		if s.Outcome == record.Failed {
			s.Outcome = record.Outcomes()[2+i%5]
			s.Reason, s.Detail = protocol.Reason(lesses), others
			s.Late = &record.LateReply{Took: 5*time.Second + time.Duration(i)*time.Millisecond}
		}
		run.Counts[s.Outcome]++
	}
	run.Strays = make([]record.Event, 5000)
	for i := range run.Strays {
		run.Strays[i] = record.Event{Kind: record.KindStray, Stray: record.StrayDuplicate, Index: i + 1, Detail: lesses}
	}
	for _, language := range []Language{English, Korean} {
		text := render(t, run, language)
		a := dissect(t, text)
		if len(text) > 8<<20 || len(a.rows) != maxRows || len(a.broken) > 0 {
			t.Errorf("the page has %d bytes, %d rows, links that lead nowhere: %v", len(text), len(a.rows), a.broken)
		}
		if strings.Contains(text, "\x1b") || strings.Contains(text, strings.Repeat("&lt;", maxQuoteRunes+1)) {
			t.Error("a text is shown as it is")
		}
	}
}

// Steps that were not run take no rows from failed steps.
func TestInterruptedLongRun(t *testing.T) {
	run := failing(5000, func(i int) bool { return i == 1200 })
	run.Cause = record.Interrupted
	run.Counts = record.Counts{record.Passed: 1199, record.Failed: 1, record.NotRun: 3800}
	for i := 1200; i < 5000; i++ {
		run.Steps[i] = record.StepResult{Index: i + 1, Step: run.Steps[i].Step}
	}
	text := render(t, run, English)
	a := dissect(t, text)
	if !slices.Equal(a.rows, []int{1200}) || len(a.broken) > 0 || strings.Contains(text, "are not listed") {
		t.Errorf("rows %v, links that lead nowhere: %v", a.rows, a.broken)
	}
	if !strings.Contains(text, "refused 1") || !strings.Contains(text, "not run 100") {
		t.Error("the ranges do not show the outcomes of their steps")
	}
}

func TestShorten(t *testing.T) {
	w := english()
	for text, want := range map[string]string{
		"": "", "short": "short", strings.Repeat("é", maxQuoteRunes): strings.Repeat("é", maxQuoteRunes),
		strings.Repeat("é", maxQuoteRunes+1): strings.Repeat("é", maxQuoteRunes) + fmt.Sprintf("… (%d characters in all)", maxQuoteRunes+1),
	} {
		if got := w.shorten(text); got != want {
			t.Errorf("%.20q became %q", text, got)
		}
	}
}
