package verify

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Text writes the report for people. What came from the wire is cleaned by clean, so that it
// cannot move the cursor of a terminal.
func (r *Report) Text(w io.Writer, clean func(string) string) error {
	t := &text{clean: clean}
	t.line("%s: %s", r.File.Name, r.Verdict)
	t.line("  %s, %s%s, %s over %s, %s with an agent%s", format(r.File), strings.Join(r.File.Links, " and "), drops(r.File),
		count(r.File.Packets, "packet"), span(r.File.Last.Sub(r.File.First)), count(r.Connections, "connection"), foreign(r))
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
		t.line("\n  messages that are no step of any session")
		t.steps(r.Outside)
	}
	if r.Record != nil {
		t.record(r.Record)
	}
	t.line("")
	for _, sentence := range r.Summary {
		t.line("  %s", sentence)
	}
	t.line("  %s: %s", r.Verdict, meaning(r))
	_, err := io.WriteString(w, t.b.String())
	return err
}

type text struct {
	b     strings.Builder
	clean func(string) string
}

func (t *text) line(format string, args ...any) {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = t.clean(s)
		}
	}
	fmt.Fprintf(&t.b, format+"\n", args...)
}

func (t *text) findings(indent string, all []Finding) {
	for _, f := range all {
		mark := "note"
		if f.Verdict != Pass {
			mark = f.Verdict.String()
		}
		t.line("%s%s: %s", indent, mark, f.Text)
	}
}

func (t *text) session(s *Session) {
	what := "the session of " + s.Client.String()
	if s.Named {
		what = "session " + s.ID + " of " + s.Client.String()
	}
	t.line("\n  %s with %s: %s", what, s.Agent.String(), s.Verdict.String())
	t.findings("    ", s.Findings)
	t.steps(s.Steps)
}

// steps writes a table, and under it what is to be said of each step.
func (t *text) steps(all []*Step) {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "    packets\tstep\ton the wire\tresponse\ttimeout\tinterval\tgap\tvalidators now\tsupported")
	for _, s := range all {
		_, _ = fmt.Fprintf(table, "    %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", packets(s), id(s), t.clean(wire(s)), responseOf(s),
			dash(s.hasTime, declared(s.timeout)), dash(s.hasWait, declared(s.interval)), dash(s.hasGap, span(s.gap)), t.clean(now(s)), s.Verdict)
	}
	_ = table.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		t.b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	for _, s := range all {
		t.line("    %s", s.Sentence)
		t.findings("      ", s.Findings)
	}
}

func (t *text) record(m *RecordMatch) {
	t.line("\n  record %s: %s", m.Name, m.Verdict.String())
	t.findings("    ", m.Findings)
	agree := 0
	for _, e := range m.Events {
		if e.Verdict == Pass {
			agree++
			continue
		}
		t.line("    line %s, %s%s: %s: %s", strconv.Itoa(e.Line), e.Event, ofStep(e), e.Verdict.String(), e.Text)
	}
	t.line("    %s of %s agree", strconv.Itoa(agree), count(len(m.Events), "event"))
}

func ofStep(e EventMatch) string {
	if e.StepID == nil {
		return ""
	}
	return " of step " + strconv.FormatInt(*e.StepID, 10)
}

func packets(s *Step) string {
	if s.Reply == nil {
		return strconv.Itoa(s.Request.Packet)
	}
	return fmt.Sprintf("%d %d", s.Request.Packet, s.Reply.Packet)
}

func id(s *Step) string {
	if s.StepID == nil {
		return "-"
	}
	return strconv.FormatInt(*s.StepID, 10)
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

func responseOf(s *Step) string { return dash(s.Reply != nil, span(s.response)) }

func dash(known bool, text string) string {
	if !known {
		return "-"
	}
	return text
}

func format(f File) string {
	if f.Gzip {
		return f.Format + " (gzip)"
	}
	return f.Format
}

func drops(f File) string {
	if f.Dropped == nil {
		return ""
	}
	return fmt.Sprintf(", %d dropped", *f.Dropped)
}

func foreign(r *Report) string {
	var agents []string
	for _, a := range r.Agents {
		agents = append(agents, addr(a))
	}
	text := ""
	if len(agents) > 0 {
		text = " at " + list(agents)
	}
	if r.Foreign > 0 {
		text += fmt.Sprintf(", %d others", r.Foreign)
	}
	return text
}

func addr(a netip.AddrPort) string { return a.String() }

// meaning says what the verdict is about.
func meaning(r *Report) string {
	switch r.Verdict {
	case Pass:
		return "the capture supports everything that is claimed"
	case Fail:
		return "something that is claimed is not so, see the lines marked fail"
	default:
		return "the capture does not hold enough to tell, see the lines marked inconclusive"
	}
}
