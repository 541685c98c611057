// Package capturetest makes captures for tests: the packets of a conversation, which a test
// may then lose, double, reorder or change, and the bytes of a file that holds them, written
// without the code that reads them.
package capturetest

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A Packet is one TCP packet.
type Packet struct {
	Time               time.Time
	From, To           netip.AddrPort
	Seq, Ack           uint32
	SYN, ACK, FIN, RST bool
	Payload            []byte
	// Clock is the sender's, in milliseconds (RFC 7323); NoClock leaves it out.
	Clock   uint32
	NoClock bool
}

// A Talk is one connection between a client and an agent. Its methods add packets, each at
// a time after Began.
type Talk struct {
	Client, Agent netip.AddrPort
	Began         time.Time
	// NoClock leaves out the senders' clocks.
	NoClock bool

	first   map[netip.AddrPort]uint32
	packets []Packet
}

// Delay is how much later than a packet its acknowledgement is.
const Delay = 40 * time.Microsecond

// NewTalk begins a conversation whose streams have these first sequence numbers.
func NewTalk(client, agent netip.AddrPort, began time.Time, clientISN, agentISN uint32) *Talk {
	return &Talk{Client: client, Agent: agent, Began: began, first: map[netip.AddrPort]uint32{client: clientISN, agent: agentISN}}
}

func (t *Talk) other(end netip.AddrPort) netip.AddrPort {
	if end == t.Client {
		return t.Agent
	}
	return t.Client
}

// Send adds one packet of either end. Packets may be added in any order of their times.
func (t *Talk) Send(at time.Duration, p Packet) {
	p.Time, p.To = t.Began.Add(at), t.other(p.From)
	p.ACK = p.ACK || !p.SYN
	p.Clock, p.NoClock = 7_000_000+uint32(at/time.Millisecond), t.NoClock
	t.packets = append(t.packets, p)
}

// Packets returns the packets in the order of their times, with their sequence numbers.
func (t *Talk) Packets() []Packet {
	all := slices.Clone(t.packets)
	slices.SortStableFunc(all, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	seq := maps.Clone(t.first)
	for i := range all {
		p := &all[i]
		p.Seq, p.Ack = seq[p.From], seq[p.To]
		seq[p.From] += uint32(len(p.Payload))
		if p.SYN || p.FIN {
			seq[p.From]++
		}
	}
	return all
}

// Open adds the handshake.
func (t *Talk) Open(at time.Duration) {
	t.Send(at, Packet{From: t.Client, SYN: true})
	t.Send(at+Delay, Packet{From: t.Agent, SYN: true, ACK: true})
	t.Send(at+2*Delay, Packet{From: t.Client})
}

// Ask adds bytes of the client and their acknowledgement.
func (t *Talk) Ask(at time.Duration, text string) { t.say(t.Client, at, text) }

// Reply adds bytes of the agent and their acknowledgement.
func (t *Talk) Reply(at time.Duration, text string) { t.say(t.Agent, at, text) }

func (t *Talk) say(from netip.AddrPort, at time.Duration, text string) {
	t.Send(at, Packet{From: from, Payload: []byte(text)})
	t.Send(at+Delay, Packet{From: t.other(from)})
}

// Close has one end close the connection, and the other follow.
func (t *Talk) Close(at time.Duration, first netip.AddrPort) {
	t.Send(at, Packet{From: first, FIN: true})
	t.Send(at+Delay, Packet{From: t.other(first), FIN: true})
	t.Send(at+2*Delay, Packet{From: first})
}

// Reset has one end break the connection off.
func (t *Talk) Reset(at time.Duration, from netip.AddrPort) {
	t.Send(at, Packet{From: from, RST: true})
}

// Merge puts the packets of conversations in the order of their times.
func Merge(talks ...*Talk) []Packet {
	var all []Packet
	for _, t := range talks {
		all = append(all, t.Packets()...)
	}
	slices.SortStableFunc(all, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	return all
}

// Split cuts a packet into two at a byte of its payload. The second has its own time.
func Split(p Packet, at int, later time.Duration) (Packet, Packet) {
	first, second := p, p
	first.Payload, second.Payload = p.Payload[:at], p.Payload[at:]
	first.FIN = false
	second.Seq += uint32(at)
	second.Time = p.Time.Add(later)
	return first, second
}
