package html

import (
	"bytes"
	"fmt"
	"regexp"
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

func render(t *testing.T, run record.Run, language Language) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, run, splitOf(run), language); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// splitOf returns an agent's record of a run, with a view of every other step.
func splitOf(run record.Run) *report.Split {
	if len(run.Steps) > 500 {
		return nil
	}
	split := &report.Split{Counted: 1, Dropped: 2, Restarts: 2, Away: 1500 * time.Millisecond, Identity: "ada<b>", Total: report.Part{Waited: 9, Link: 4, Fault: 5}}
	for i := range run.Steps {
		view := report.View{Known: i%2 == 0, Whole: i%4 == 0, Arrivals: 3, ErrorCode: 1, Reason: "out_of_order", FaultKind: "late"}
		split.Steps = append(split.Steps, view)
	}
	return split
}

// everything is a run with nearly all kinds of events.
func everything(t *testing.T) record.Run {
	t.Helper()
	log, err := record.ReadFile("../../record/testdata/format1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	run, err := log.Fold()
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestIdentity: the page names the identity that the agent's record gives the client, as text.
func TestIdentity(t *testing.T) {
	t.Parallel()
	for language, want := range map[Language]string{
		English: "By its certificate, the agent identified the client as ada&lt;b&gt;.",
		Korean:  "에이전트가 인증서로 확인한 클라이언트 신원은 ada&lt;b&gt;입니다.",
	} {
		if !strings.Contains(render(t, everything(t), language), want) {
			t.Errorf("%s: the page lacks %s", language, want)
		}
	}
}

// TestAway: the page says how often and how long there was no agent.
func TestAway(t *testing.T) {
	t.Parallel()
	for language, want := range map[Language]string{
		English: "Times without the agent during the run: 2, together 1.500 s.",
		Korean:  "실행 중 에이전트가 없던 횟수는 2회, 합쳐서 1.500초입니다.",
	} {
		if !strings.Contains(render(t, everything(t), language), want) {
			t.Errorf("%s: the page lacks %s", language, want)
		}
	}
}

// long returns a run of n steps; those at the given indexes failed.
func long(n int, failed ...int) record.Run {
	run := record.Run{Cause: record.Finished, Counts: record.Counts{}, Verdict: record.Pass, Duration: time.Duration(n) * time.Second,
		Steps: make([]record.StepResult, 0, n)}
	for i := range n {
		s := record.StepResult{Index: i + 1, Step: record.Step{StepID: int64(i + 1), Timeout: 5 * time.Second, Interval: time.Second},
			Outcome: record.Passed, Took: 1234567, SentAt: time.Duration(i) * time.Second, Kept: protocol.Seconds(998 * time.Millisecond)}
		if slices.Contains(failed, i+1) {
			s.Outcome, s.Reason, s.Detail = record.Failed, protocol.OutOfOrder, "step 3 must come now, got 100"
			run.Verdict = record.Fail
		}
		run.Counts[s.Outcome]++
		run.Steps = append(run.Steps, s)
	}
	return run
}

// walk calls visit for each element of a page.
func walk(t *testing.T, text string, visit func(*html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			visit(n)
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// said returns the text of a page for readers, without identifiers and quoted text.
func said(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	if slices.Contains([]string{"style", "code", "bdi", "q"}, n.Data) {
		return " "
	}
	var b strings.Builder
	for c := range n.ChildNodes() {
		b.WriteString(said(c))
	}
	return b.String() + " "
}

// englishSentence matches English words. Names that are the same in every language are single words.
var englishSentence = regexp.MustCompile(`[A-Za-z]{2,}[ ,.;]+[A-Za-z]{2,}[^.]*`)

// No English sentence is left in the Korean page, and no Korean one in the English.
func TestLanguages(t *testing.T) {
	runs := []record.Run{everything(t), long(1), long(250, 7), long(1500, 7, 1400), long(0), {Cause: record.Lost}}
	cut, stopped := long(3), long(3, 1)
	cut.Cause, cut.Verdict = "", record.Undecided
	stopped.Cause = record.Interrupted
	bundledRun := long(len(bundled(t)))
	for i, detail := range bundled(t) {
		bundledRun.Steps[i].Outcome, bundledRun.Steps[i].Reason, bundledRun.Steps[i].Detail = record.Failed, protocol.OutOfOrder, detail
	}
	all := long(0)
	for i, outcome := range record.Outcomes() {
		all.Steps = append(all.Steps, record.StepResult{Index: i + 1, Outcome: outcome, Reason: "unheard_of"})
	}
	for _, run := range append(runs, cut, stopped, bundledRun, all) {
		run.Start.Procedure.Name, run.Start.Address, run.Start.Client = "s.json", "[::1]:8080", "1.2.0"
		run.Agents = []string{"stepagent 1.2.0"}
		korean, err := html.Parse(strings.NewReader(render(t, run, Korean)))
		if err != nil {
			t.Fatal(err)
		}
		if left := englishSentence.FindString(said(korean)); left != "" {
			t.Errorf("the Korean page says %q", left)
		}
		// These runs have only details with a translation.
		if strings.Contains(render(t, run, Korean), "<q>") {
			t.Error("the Korean page quotes what it should say")
		}
		if text := render(t, run, English); strings.ContainsFunc(text, cataloguetest.Hangul) {
			t.Error("the English page has Korean")
		}
	}
}

// The page loads and runs nothing, and its policy forbids it.
func TestPageIsSelfContained(t *testing.T) {
	text := render(t, everything(t), English)
	policy := ""
	walk(t, text, func(n *html.Node) {
		if n.Data == "script" || n.Data == "iframe" || n.Data == "object" || n.Data == "img" || n.Data == "form" {
			t.Errorf("there is a %s", n.Data)
		}
		if attribute(n, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(n, "content")
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style":
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			case (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "#") && a.Val != "data:,":
				t.Errorf("%s leads to %q", n.Data, a.Val)
			}
		}
	})
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(text, "url(") || strings.Contains(text, "@import") {
		t.Errorf("the policy is %q", policy)
	}
}

// Text from files and agents never changes the elements of the page.
func TestHostileText(t *testing.T) {
	evil := "</td></table><script>alert(1)</script><img src=x onerror=alert(1)>\x00\x1b[2J\u202e\u2066\u200f\"' onload=\"x\" --> ]]> {{.}} \xff"
	shape := func(run record.Run) string {
		var b strings.Builder
		walk(t, render(t, run, English), func(n *html.Node) {
			b.WriteString(n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteString("\n")
		})
		return b.String()
	}
	fill := func(text string) record.Run {
		run := everything(t)
		run.Start.Procedure.Name, run.Start.Procedure.SHA256, run.Start.Host = text, text, text
		run.Start.Address, run.Start.Session, run.Start.Client = text, text, text
		run.Agents = []string{text}
		run.Strays[0].Detail = text
		for i := range run.Steps {
			if run.Steps[i].Outcome == record.Failed {
				run.Steps[i].Reason, run.Steps[i].Detail = protocol.Reason(text), text
			}
		}
		return run
	}
	run := fill(evil)
	if harmless := shape(fill("harmless")); shape(run) != harmless {
		t.Errorf("the page became\n%s\nwant\n%s", shape(run), harmless)
	}
	for _, language := range []Language{English, Korean} {
		if text := render(t, run, language); strings.ContainsAny(text, "\x00\x1b\u202e\u2066\u200f") || !utf8.ValidString(text) {
			t.Error("a control character got through")
		}
	}
}

// The page has all shown numbers in <data> elements.
func TestNumbersCanBeReadBack(t *testing.T) {
	run := everything(t)
	for _, language := range []Language{English, Korean} {
		rows := 0
		walk(t, render(t, run, language), func(n *html.Node) {
			if n.Data != "tr" || attribute(n, "data-outcome") == "" {
				return
			}
			step := run.Steps[rows]
			rows++
			var values []string
			for d := range n.Descendants() {
				if d.Data == "data" {
					values = append(values, attribute(d, "value"))
				}
			}
			seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
			want := []string{strconv.FormatInt(step.StepID, 10)}
			if step.Outcome == record.Passed || step.Outcome == record.Failed {
				want = append(want, seconds(step.Took))
			}
			want = append(want, seconds(step.Timeout), seconds(step.Interval))
			if step.Kept.Declared {
				want = append(want, seconds(step.Kept.Duration))
			}
			if attribute(n, "id") != fmt.Sprint("s", step.Index) || attribute(n, "data-outcome") != step.Outcome.String() || !slices.Equal(values, want) {
				t.Errorf("step at index %d: %s has %v, want %v", step.Index, attribute(n, "data-outcome"), values, want)
			}
		})
		if rows != len(run.Steps) {
			t.Errorf("%d rows for %d steps", rows, len(run.Steps))
		}
	}
}

func TestLongProceduresStaySmall(t *testing.T) {
	run := long(1000, 30, 777)
	text := render(t, run, English)
	const most = 900 << 10
	if len(text) > most {
		t.Errorf("the page of 1000 steps has %d bytes, more than %d", len(text), most)
	}
	open, folded := 0, 0
	walk(t, text, func(n *html.Node) {
		if n.Data == "details" {
			if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "open" }) {
				open++
			} else {
				folded++
			}
		}
	})
	if open != 2 || folded != 8 {
		t.Errorf("%d groups are open and %d are folded, want those with a step that failed open", open, folded)
	}
	many := long(1000)
	for i := range many.Steps {
		many.Steps[i].Outcome, many.Steps[i].Reason = record.Failed, protocol.Reason(fmt.Sprint("reason_", i))
	}
	many.Strays = make([]record.Event, 100000)
	if size := len(render(t, many, English)); size > most*2 {
		t.Errorf("a page of trouble has %d bytes", size)
	}
}
