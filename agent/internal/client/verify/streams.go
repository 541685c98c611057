package verify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
)

// lookAtFile says what is to be known of the file as a whole.
func (v *verifier) lookAtFile(broken error) {
	c, r := v.capture, v.report
	if broken != nil {
		r.find(Inconclusive, "file_broken", 0, "the file cannot be read to its end: "+broken.Error())
	}
	if c.DropsKnown && c.Dropped > 0 {
		r.find(Inconclusive, "dropped", 0, fmt.Sprintf("the capturing program lost %s by its own count", count(int(c.Dropped), "packet")))
	}
	if n := c.Skipped.Fragments; n > 0 {
		r.find(Inconclusive, "fragments", c.Skipped.FirstFragment,
			fmt.Sprintf("%s of packets that IP has cut, whose other pieces are not in the capture", count(n, "piece")))
	}
	if n := c.Skipped.Unreadable; n > 0 {
		r.find(Inconclusive, "unreadable", 0, fmt.Sprintf("%s cannot be read: cut off, or no sense in them", count(n, "packet")))
	}
	if n := c.Skipped.Link; n > 0 {
		r.find(Inconclusive, "link_type", c.Skipped.FirstLink, fmt.Sprintf(
			"%s of a link type that is not read, %s; capture on an interface that has an IP address", count(n, "packet"), c.Skipped.LinkName))
	}
	v.lossy = verdictOf(r.Findings) != Pass
	if b := c.Backwards; b.Count > 0 {
		r.find(Inconclusive, "time_goes_back", b.Packet, fmt.Sprintf(
			"%s stamped before the packet in front of it, packet %d first, by up to %s: the clock was set, or packets were written out of order",
			are(b.Count, "packet"), b.Packet, span(b.By)))
	}
}

// lookAtTunnels says of packets that are wrapped in something what it is: an agent's may be
// among them. Where an agent is in the capture anyway, it is only a note.
func (v *verifier) lookAtTunnels() {
	skipped := v.capture.Skipped
	if len(skipped.Tunnels) == 0 {
		return
	}
	verdict, advice := Pass, ""
	if len(v.dialogs) == 0 {
		verdict, advice = Inconclusive, "; capture on the interface at the end of it"
	}
	for _, name := range slices.Sorted(maps.Keys(skipped.Tunnels)) {
		v.report.find(verdict, "tunnel", skipped.FirstTunnel,
			fmt.Sprintf("%s wrapped in %s, which is not looked into%s", are(skipped.Tunnels[name], "packet"), name, advice))
	}
}

// lookAtStreams says what is missing or contradictory in the connections with an agent.
func (v *verifier) lookAtStreams() {
	v.report.Connections = len(v.dialogs)
	v.lookAtTunnels()
	if len(v.dialogs) == 0 && v.capture.FirstCut > 0 {
		v.report.find(Inconclusive, "missing", v.capture.FirstCut, fmt.Sprintf(
			"packets were cut off when they were captured (snaplen), packet %d for one; take a capture of whole packets", v.capture.FirstCut))
	}
	for _, d := range v.dialogs {
		v.lookAtStart(d)
		v.lookAtStream(d, d.up, "client")
		v.lookAtStream(d, d.down, "agent")
		v.lookAtTimes(d)
		v.lookAtMessages(d)
	}
}

// lookAtStart says what is not known of the beginning of a connection, or of one of its sides.
func (v *verifier) lookAtStart(d *dialog) {
	switch {
	case d.refused():
	case d.oneSided():
		v.report.find(Inconclusive, "one_sided", d.conn.First.Packet, fmt.Sprintf(
			"no packet of the agent is in the capture on the connection of %s: it was taken in one direction only, or the agent does not answer", d.client))
	case len(d.up.Seen) == 0 && d.up.RST.IsZero():
		v.report.find(Inconclusive, "one_sided", d.conn.First.Packet, fmt.Sprintf(
			"no packet of the client is in the capture on the connection of %s: it was taken in one direction only", d.client))
	case !d.up.Started || !d.down.Started:
		who := "client"
		if d.up.Started {
			who = "agent"
		}
		v.report.find(Inconclusive, "unknown_start", d.conn.First.Packet, fmt.Sprintf(
			"the connection of %s was open before the capture began, or its opening is missing: what its %s sent before is not known", d.client, who))
	}
}

// lookAtTimes says which times cannot be true, and which packets are not the first of their
// kind.
func (v *verifier) lookAtTimes(d *dialog) {
	few := v.few()
	for _, c := range d.conn.Contradictions {
		few.find(Fail, "time_contradicts", c.Packet, fmt.Sprintf("the time of packet %d cannot be true: %s", c.Packet, c.Problem))
	}
	few = v.few()
	for _, s := range []*capture.Stream{d.up, d.down} {
		for _, l := range s.Late {
			few.find(Inconclusive, "late_copy", l.Packet, fmt.Sprintf(
				"packet %d acknowledges what is in packet %d alone, %s after it: the packet that brought it first is not in the capture, or a time is not true",
				l.Acked, l.Packet, span(l.By)))
		}
	}
}

// lookAtMessages says what of the messages is not whole, or answers nothing.
func (v *verifier) lookAtMessages(d *dialog) {
	if m := d.cutRequest; m != nil {
		v.report.find(Inconclusive, "request_cut", m.begin.Packet, "the end of the request that begins in packet "+
			fmt.Sprint(m.begin.Packet)+" is not there")
	}
	few := v.few()
	for _, m := range d.garbled {
		text := "bytes of the agent that are no reply"
		verdict := Fail
		if m.cut || m.unsure || !d.whole() {
			verdict, text = Inconclusive, "a reply of the agent that is not whole"
		}
		few.find(verdict, "no_reply_text", m.begin.Packet, fmt.Sprintf("%s: %.80q", text, m.raw))
	}
	few = v.few()
	for _, a := range d.strays {
		verdict := v.sureOf(d)
		if a.reply.StepID == nil && a.reply.ErrorCode != 0 {
			verdict = Pass // the agent refuses the connection, or what was not a request
		}
		few.find(verdict, "stray_reply", a.message.end.Packet, fmt.Sprintf("a reply that answers nothing: %.120s", a.message.raw))
	}
}

func (v *verifier) lookAtStream(d *dialog, s *capture.Stream, who string) {
	few := v.few()
	for _, m := range s.Missing {
		why := "not in the capture"
		if m.Cut {
			why = "cut off when they were captured (snaplen)"
		}
		few.find(Inconclusive, "missing", m.Near, fmt.Sprintf("of what the %s sent on the connection of %s, %s %s, near packet %d",
			who, d.client, are(int(m.Bytes), "byte"), why, m.Near))
	}
	few = v.few()
	for _, c := range s.Conflicts {
		few.find(Fail, "conflict", c.Packet, fmt.Sprintf("packets %d and %d carry different bytes for the same place of what the %s sent",
			c.Earlier, c.Packet, who))
	}
	few = v.few()
	for _, damage := range s.Damaged {
		verdict, text := Fail, "they were changed"
		if !damage.Acked {
			verdict, text = Inconclusive, "they were damaged, and sent again in a packet that is missing, or changed"
		}
		few.find(verdict, "checksum", damage.Packet, fmt.Sprintf("the TCP checksum of packet %d, from the %s, does not fit its bytes: %s",
			damage.Packet, who, text))
	}
}

// maxOfAKind is how many findings of one kind are told of one stream; the verdict is that of
// all.
const maxOfAKind = 16

// few tells the first findings of a kind, and of further ones only those that are worse.
type few struct {
	report *Report
	told   int
	worst  Verdict
}

func (v *verifier) few() *few { return &few{report: v.report, worst: Pass} }

func (f *few) find(verdict Verdict, code string, packet int, text string) {
	worse := f.worst.and(verdict) != f.worst
	if f.told++; f.told > maxOfAKind && !worse {
		return
	}
	if f.told == maxOfAKind {
		text += "; further ones like it are not listed"
	}
	f.worst = f.worst.and(verdict)
	f.report.find(verdict, code, packet, text)
}

// observedUntil is how far the capture goes.
func (v *verifier) observedUntil() time.Time { return v.capture.Last }
