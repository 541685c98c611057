package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/capture"
)

// lookAtFile says what is to be known of the file as a whole.
func (v *verifier) lookAtFile(broken error) {
	c, r := v.capture, v.report
	if broken != nil {
		r.find(Inconclusive, "file_broken", 0, "the file cannot be read to its end: "+broken.Error())
	}
	if c.DropsKnown && c.Dropped > 0 {
		r.find(Inconclusive, "dropped", 0, fmt.Sprintf("whoever captured lost %s by its own count", count(int(c.Dropped), "packet")))
	}
	if n := c.Skipped.Fragments; n > 0 {
		r.find(Inconclusive, "fragments", c.Skipped.FirstFragment,
			fmt.Sprintf("%s of IP fragments, which are not put together", count(n, "packet")))
	}
	if n := c.Skipped.Unreadable; n > 0 {
		r.find(Inconclusive, "unreadable", 0, fmt.Sprintf("%s cannot be read: cut off, or no sense in them", count(n, "packet")))
	}
	if n := c.Skipped.Link; n > 0 {
		r.find(Inconclusive, "link_type", c.Skipped.FirstLink, fmt.Sprintf("%s of a link type that is not known", count(n, "packet")))
	}
	v.lossy = verdictOf(r.Findings) != Pass
	for _, b := range c.Backwards {
		r.find(Inconclusive, "time_goes_back", b.Packet, fmt.Sprintf(
			"packet %d is stamped %s before the packet in front of it: the clock was set, or the file was changed", b.Packet, span(b.By)))
	}
}

// lookAtStreams says what is missing or contradictory in the connections with an agent.
func (v *verifier) lookAtStreams() {
	v.report.Connections = len(v.dialogs)
	if len(v.dialogs) == 0 {
		v.lookAtCuts()
	}
	for _, d := range v.dialogs {
		v.lookAtStream(d, d.up, "client")
		v.lookAtStream(d, d.down, "agent")
		for _, c := range d.conn.Contradictions {
			v.report.find(Fail, "time_contradicts", c.Packet, fmt.Sprintf("the time of packet %d cannot be true: %s", c.Packet, c.Problem))
		}
		if m := d.cutRequest; m != nil {
			v.report.find(Inconclusive, "request_cut", m.begin.Packet, "the end of the request that begins in packet "+
				fmt.Sprint(m.begin.Packet)+" is not there")
		}
		for _, m := range d.garbled {
			text := "bytes of the agent that are no reply"
			verdict := Fail
			if m.cut || m.unsure || !d.whole() {
				verdict, text = Inconclusive, "a reply of the agent that is not whole"
			}
			v.report.find(verdict, "no_reply_text", m.begin.Packet, fmt.Sprintf("%s: %.80q", text, m.raw))
		}
		for _, a := range d.strays {
			verdict := Fail
			if !d.whole() {
				verdict = Inconclusive
			}
			if a.reply.StepID == nil && a.reply.ErrorCode != 0 {
				verdict = Pass // the agent refuses the connection, or what was not a request
			}
			v.report.find(verdict, "stray_reply", a.message.end.Packet, fmt.Sprintf("a reply that answers nothing: %.120s", a.message.raw))
		}
	}
}

// lookAtCuts says why there may be no conversation to be seen.
func (v *verifier) lookAtCuts() {
	for _, conn := range v.capture.Conns {
		for _, m := range append(slices.Clone(conn.Up.Missing), conn.Down.Missing...) {
			if m.Cut {
				v.report.find(Inconclusive, "missing", m.Near, fmt.Sprintf(
					"packets were cut off when they were captured (snaplen), packet %d for one; take a capture of whole packets", m.Near))
				return
			}
		}
	}
}

func (v *verifier) lookAtStream(d *dialog, s *capture.Stream, who string) {
	r := v.report
	if !s.Started && (len(s.Chunks) > 0 || !d.conn.First.Time.IsZero() && s == d.up) {
		r.find(Inconclusive, "unknown_start", d.conn.First.Packet, fmt.Sprintf(
			"the connection of %s was open before the capture began: what its %s sent before is not known", d.client, who))
	}
	for _, m := range s.Missing {
		why := "are not in the capture"
		if m.Cut {
			why = "were cut off when they were captured (snaplen)"
		}
		r.find(Inconclusive, "missing", m.Near, fmt.Sprintf("%s that the %s sent on the connection of %s %s, near packet %d",
			count(int(m.Bytes), "byte"), who, d.client, why, m.Near))
	}
	for _, c := range s.Conflicts {
		r.find(Fail, "conflict", c.Packet, fmt.Sprintf("packets %d and %d carry different bytes for the same place of what the %s sent",
			c.Earlier, c.Packet, who))
	}
	for _, packet := range s.Damaged {
		r.find(Fail, "checksum", packet, fmt.Sprintf("the TCP checksum of packet %d, from the %s, does not fit its bytes: they were changed or damaged",
			packet, who))
	}
}

// observedUntil is how far the capture goes.
func (v *verifier) observedUntil() time.Time { return v.capture.Last }
