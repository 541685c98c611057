package verify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// An inspector reports what is missing, damaged or contradictory in a file and in its
// connections with an agent.
type inspector struct {
	capture  *capture.Capture
	conns    []*match.Conn
	findings *result.Findings
}

// inspectFile reports what the file as a whole lacks, and returns the verdict of that.
func (i *inspector) inspectFile(broken error) result.Verdict {
	c, skipped := i.capture, i.capture.Skipped
	lacks := func(code string, packet int, format string, args ...any) {
		i.findings.Add(result.Inconclusive, code, packet, format, args...)
	}
	if broken != nil {
		lacks("file_broken", 0, "the file cannot be read to its end: %v", broken)
	}
	if c.Dropped != nil && *c.Dropped > 0 {
		lacks("dropped", 0, "the capturing program lost %s by its own count", phrase.Count(int(*c.Dropped), "packet"))
	}
	if n := skipped.Fragments; n > 0 {
		lacks("fragments", skipped.FirstFragment, "%s of packets that are not complete in the capture", phrase.Count(n, "IP fragment"))
	}
	if n := skipped.Unreadable; n > 0 {
		lacks("unreadable", 0, "%s cannot be decoded: cut off or invalid", phrase.Count(n, "packet"))
	}
	if n := skipped.Link; n > 0 {
		lacks("link_type", skipped.FirstLink, "%s of an unsupported link type, %s; capture on an interface that has an IP address",
			phrase.Count(n, "packet"), skipped.LinkName)
	}
	return i.findings.Verdict()
}

// inspectTimes reports times that go back in the file.
func (i *inspector) inspectTimes() {
	if b := i.capture.Backwards; b.Count > 0 {
		i.findings.Add(result.Inconclusive, "time_goes_back", b.Packet,
			"%s stamped before the packet in front of it, packet %d first, by up to %s: the clock was set, or packets were written out of order",
			phrase.CountAre(b.Count, "packet"), b.Packet, phrase.Span(b.By))
	}
}

// inspectConns reports what is wrong in the connections, and what may hide others.
func (i *inspector) inspectConns() {
	i.inspectTunnels()
	if len(i.conns) == 0 && i.capture.FirstCut > 0 {
		i.findings.Add(result.Inconclusive, "missing", i.capture.FirstCut,
			"packets were cut off when they were captured (snaplen), packet %d for one; take a capture of whole packets", i.capture.FirstCut)
	}
	for _, c := range i.conns {
		i.inspectStart(c)
		i.inspectStream(c, c.ToAgent, "client")
		i.inspectStream(c, c.ToClient, "agent")
		i.inspectCausality(c)
		i.inspectMessages(c)
	}
}

// inspectTunnels reports packets in tunnels, which may be of an agent: a note when the capture
// has an agent anyway.
func (i *inspector) inspectTunnels() {
	skipped := i.capture.Skipped
	verdict, advice := result.Pass, ""
	if len(i.conns) == 0 {
		verdict, advice = result.Inconclusive, "; capture on the interface at the end of the tunnel"
	}
	for _, name := range slices.Sorted(maps.Keys(skipped.Tunnels)) {
		i.findings.Add(verdict, "tunnel", skipped.FirstTunnel, "%s encapsulated in %s, which is not decoded%s",
			phrase.CountAre(skipped.Tunnels[name], "packet"), name, advice)
	}
}

// inspectStart reports what is not known of the start of a connection or of one of its sides.
func (i *inspector) inspectStart(c *match.Conn) {
	lacks := func(code, format string, args ...any) {
		i.findings.Add(result.Inconclusive, code, c.TCP.First.Packet, format, args...)
	}
	switch {
	case c.Refused():
	case c.OneSided():
		lacks("one_sided", "no packet of the agent is in the capture on the connection of %s: it was taken in one direction only, or the agent does not answer", c.Client)
	case len(c.ToAgent.Packets) == 0 && c.ToAgent.RST.IsZero():
		lacks("one_sided", "no packet of the client is in the capture on the connection of %s: it was taken in one direction only", c.Client)
	case !c.ToAgent.Started || !c.ToClient.Started:
		who := "client"
		if c.ToAgent.Started {
			who = "agent"
		}
		lacks("unknown_start", "the connection of %s was open before the capture began, or its handshake is missing: what its %s sent before is not known", c.Client, who)
	}
}

// inspectStream reports missing, conflicting and damaged bytes of one side.
func (i *inspector) inspectStream(c *match.Conn, s *capture.Stream, who string) {
	list := i.limited("missing")
	for _, m := range s.Missing {
		why := "not in the capture"
		if m.Cut {
			why = "cut off when they were captured (snaplen)"
		}
		list.add(result.Inconclusive, m.Near, "of what the %s sent on the connection of %s, %s %s, near packet %d",
			who, c.Client, phrase.CountAre(int(m.Bytes), "byte"), why, m.Near)
	}
	list = i.limited("conflict")
	for _, conflict := range s.Conflicts {
		list.add(result.Fail, conflict.Packet, "packets %d and %d carry different bytes at the same offset of what the %s sent",
			conflict.Earlier, conflict.Packet, who)
	}
	list = i.limited("checksum")
	for _, damage := range s.Damaged {
		text := "they were changed"
		if !damage.AckedAtOnce {
			text = "they were damaged, and sent again in a packet that is missing, or changed"
		}
		list.add(result.FailUnless(!damage.AckedAtOnce), damage.Packet, "the TCP checksum of packet %d, from the %s, does not match its bytes: %s",
			damage.Packet, who, text)
	}
}

// inspectCausality reports impossible times, and packets that were acknowledged before.
func (i *inspector) inspectCausality(c *match.Conn) {
	list := i.limited("time_contradicts")
	for _, wrong := range c.TCP.Contradictions {
		list.add(result.Fail, wrong.Packet, "the time of packet %d cannot be true: the sender's own clock says otherwise, by %s",
			wrong.Packet, wrong.By.Round(time.Millisecond))
	}
	list = i.limited("late_copy")
	for _, l := range slices.Concat(c.ToAgent.Late, c.ToClient.Late) {
		list.add(result.Inconclusive, l.Packet,
			"packet %d acknowledges bytes that only packet %d carries, %s after it: an earlier copy is not in the capture, or a time is wrong",
			l.AckedIn, l.Packet, phrase.Span(l.By))
	}
}

// inspectMessages reports messages that are not complete or that answer no request.
func (i *inspector) inspectMessages(c *match.Conn) {
	if m := c.CutRequest; m != nil {
		i.findings.Add(result.Inconclusive, "request_cut", m.Begin.Packet, "the end of the request that begins in packet %d is missing", m.Begin.Packet)
	}
	list := i.limited("no_reply_text")
	for _, m := range c.Garbled {
		text, explained := "bytes of the agent that are no reply", m.Cut || m.AfterGap || !c.Complete()
		if explained {
			text = "a reply of the agent that is not complete"
		}
		list.add(result.FailUnless(explained), m.Begin.Packet, "%s: %.80q", text, m.Raw)
	}
	list = i.limited("stray_reply")
	for _, r := range c.Unmatched {
		verdict := result.FailUnless(!c.Complete())
		if r.StepID == nil && r.ErrorCode != 0 {
			verdict = result.Pass // the agent refuses the connection, or what was not a request
		}
		list.add(verdict, r.Message.End.Packet, "a reply to no request: %.120s", r.Message.Raw)
	}
}

// maxOfAKind bounds the findings with one code for one stream.
const maxOfAKind = 16

// A limitedList adds the first findings with a code, and of further ones only those that make the
// verdict worse.
type limitedList struct {
	findings *result.Findings
	code     string
	added    int
	worst    result.Verdict
}

func (i *inspector) limited(code string) *limitedList {
	return &limitedList{findings: i.findings, code: code, worst: result.Pass}
}

func (l *limitedList) add(verdict result.Verdict, packet int, format string, args ...any) {
	worse := l.worst.And(verdict) != l.worst
	if l.added++; l.added > maxOfAKind && !worse {
		return
	}
	text := fmt.Sprintf(format, args...)
	if l.added == maxOfAKind {
		text += "; further ones like it are not listed"
	}
	l.worst = l.worst.And(verdict)
	l.findings.Add(verdict, l.code, packet, "%s", text)
}
