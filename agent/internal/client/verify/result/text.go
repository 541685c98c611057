package result

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
)

// Text writes the report for people. clean removes control characters, which could move the
// cursor of a terminal, from texts of the capture.
func (r *Report) Text(w io.Writer, clean func(string) string) error {
	t := &writer{clean: clean}
	t.line("%s: %s", r.File.Name, r.Verdict)
	t.line("  %s", file(r))
	for _, comment := range r.File.Comments {
		t.line("  comment: %s", comment)
	}
	if r.Rules != "" {
		t.line("  judged by %s", r.Rules)
	}
	t.findings("  ", r.Findings)
	for _, s := range r.Sessions {
		t.session(s)
	}
	if len(r.Outside) > 0 {
		t.line("\n  messages outside any session")
		t.steps(r.Outside)
	}
	if r.Record != nil {
		t.record(r.Record)
	}
	t.line("")
	for _, sentence := range r.Summary {
		t.line("  %s", sentence)
	}
	t.line("  %s: %s", r.Verdict, meanings[r.Verdict])
	_, err := io.WriteString(w, t.b.String())
	return err
}

// A writer collects the lines of a report.
type writer struct {
	b     strings.Builder
	clean func(string) string
}

func (t *writer) line(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = t.clean(s)
		}
	}
	fmt.Fprintf(&t.b, format+"\n", args...)
}

func (t *writer) findings(indent string, all Findings) {
	for _, f := range all {
		mark := "note"
		if f.Verdict != Pass {
			mark = f.Verdict.String()
		}
		t.line("%s%s: %s", indent, mark, f.Text)
	}
}

func (t *writer) session(s *Session) {
	what := "the session of " + s.Client.String()
	if s.Named {
		what = "session " + s.ID + " of " + s.Client.String()
	}
	t.line("\n  %s with %s: %s", what, s.Agent, s.Verdict)
	t.findings("    ", s.Findings)
	t.steps(s.Steps)
}

// steps writes a table of the steps, then their sentences and findings.
func (t *writer) steps(all []*Step) {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "    packets\tstep\ton the wire\tresponse\ttimeout\tinterval\tgap\tvalidators now\tsupported")
	for _, s := range all {
		_, _ = fmt.Fprintf(table, "    %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", packets(s), cmp.Or(number(s.StepID), "-"), t.clean(wire(s)), orDash(s.Response, phrase.Span),
			orDash(s.Timeout, phrase.Declared), orDash(s.Interval, phrase.Declared), orDash(s.Gap, phrase.Span), t.clean(now(s)), s.Verdict)
	}
	_ = table.Flush() // to memory
	for line := range strings.Lines(b.String()) {
		t.b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	for _, s := range all {
		t.line("    %s", s.Sentence)
		t.findings("      ", s.Findings)
	}
}

func (t *writer) record(m *RecordMatch) {
	t.line("\n  record %s: %s", m.Name, m.Verdict)
	t.findings("    ", m.Findings)
	agree := 0
	for _, e := range m.Events {
		if e.Verdict == Pass {
			agree++
			continue
		}
		t.line("    line %d, %s%s: %s: %s", e.Line, e.Event, phrase.After(" of step ", number(e.StepID)), e.Verdict, e.Text)
	}
	t.line("    %d of %s agree", agree, phrase.Count(len(m.Events), "event"))
}

func packets(s *Step) string {
	if s.Reply == nil {
		return strconv.Itoa(s.Request.Packet)
	}
	return fmt.Sprintf("%d %d", s.Request.Packet, s.Reply.Packet)
}

func wire(s *Step) string {
	if s.Code == nil {
		return "no reply"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", *s.Code, s.Reason))
}

func now(s *Step) string {
	if s.Now == nil {
		return "-"
	}
	return strings.TrimSpace(s.Now.Outcome + " " + s.Now.Reason)
}

// orDash writes a duration in seconds, a dash for none.
func orDash(seconds *float64, write func(time.Duration) string) string {
	if seconds == nil {
		return "-"
	}
	return write(duration(*seconds))
}

// file describes the file and its connections.
func file(r *Report) string {
	f := r.File
	text := f.Format
	if f.Gzip {
		text += " (gzip)"
	}
	text += ", " + strings.Join(f.Links, " and ")
	if f.Dropped != nil {
		text += fmt.Sprintf(", %d dropped", *f.Dropped)
	}
	text += fmt.Sprintf(", %s over %s, %s with an agent",
		phrase.Count(f.Packets, "packet"), phrase.Span(f.Last.Sub(f.First)), phrase.Count(r.Connections, "connection"))
	var agents []string
	for _, a := range r.Agents {
		agents = append(agents, a.String())
	}
	text += phrase.After(" at ", phrase.List(agents))
	if r.Foreign > 0 {
		text += fmt.Sprintf(", %d others", r.Foreign)
	}
	return text
}

// meanings explain the verdicts.
var meanings = map[Verdict]string{
	Pass:         "the capture supports every claim",
	Fail:         `the capture contradicts a claim; see the lines marked "fail"`,
	Inconclusive: `the capture is not sufficient to decide; see the lines marked "inconclusive"`,
}
