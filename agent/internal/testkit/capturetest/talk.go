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
	// ID is the identification of an IPv4 packet, 0 for none. Linux counts it for each
	// connection.
	ID uint16
	// Face is the number of the interface in a pcapng file, from 0.
	Face int

	// known is until when the sender knows what the other end sent.
	known time.Time
}

// A Talk is one connection between a client and an agent. Its methods add packets, each at
// a time after Began.
type Talk struct {
	Client, Agent netip.AddrPort
	Began         time.Time
	// NoClock leaves out the senders' clocks, and NoID the count of their packets.
	NoClock, NoID bool
	// Way is how long a packet is on its way that is sent at a time, where the capture is taken
	// at the agent: the times of what the client sends are then those of the client. It must not
	// have packets overtake one another. Nil for none, where the capture is taken at the client.
	Way func(at time.Duration) time.Duration

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
	p.Clock, p.NoClock = 7_000_000+uint32(at/time.Millisecond), t.NoClock
	p.known = t.Began.Add(at)
	if t.Way != nil && p.From == t.Client {
		p.known = p.known.Add(-MaxWay)
		at += t.Way(at)
	}
	p.Time, p.To = t.Began.Add(at), t.other(p.From)
	p.ACK = p.ACK || !p.SYN
	t.packets = append(t.packets, p)
}

// Packets returns the packets in the order of their times, with their sequence numbers.
func (t *Talk) Packets() []Packet {
	all := slices.Clone(t.packets)
	slices.SortStableFunc(all, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	seq := maps.Clone(t.first)
	for i := range all {
		p := &all[i]
		p.Seq, p.Ack = seq[p.From], t.first[p.To]
		for j := i - 1; j >= 0; j-- { // what it acknowledges is what had come by then
			if q := &all[j]; q.From == p.To && (!q.Time.After(p.known) || !p.known.Before(p.Time)) {
				p.Ack = q.Seq + uint32(len(q.Payload))
				if q.SYN || q.FIN {
					p.Ack++
				}
				break
			}
		}
		seq[p.From] += uint32(len(p.Payload))
		if p.SYN || p.FIN {
			seq[p.From]++
		}
	}
	if !t.NoID {
		Number(all)
	}
	return all
}

// Number gives the packets of each sender their identifications, in the order in which they
// were sent. That of a SYN which is an answer is 0, as Linux has it. A packet that follows its
// twin has the same.
func Number(packets []Packet) {
	type stream struct{ from, to netip.AddrPort }
	last := map[stream]uint16{}
	var before Packet // as it was
	for i := range packets {
		p := &packets[i]
		was := *p
		key := stream{p.From, p.To}
		twin := i > 0 && was.ID != 0 && was.ID == before.ID && was.From == before.From && was.Seq == before.Seq &&
			len(was.Payload) == len(before.Payload)
		switch {
		case p.SYN && p.ACK:
			p.ID = 0
		case twin:
			p.ID = packets[i-1].ID
		case last[key] != 0:
			p.ID = last[key] + 1
		default:
			p.ID = uint16(p.Seq) | 1
		}
		last[key], before = p.ID, was
	}
}

// Open adds the handshake, and returns when the client can send.
func (t *Talk) Open(at time.Duration) time.Duration {
	agreed := t.answered(at, Packet{From: t.Client, SYN: true}, Packet{From: t.Agent, SYN: true, ACK: true})
	if t.Way == nil {
		t.Send(at+2*Delay, Packet{From: t.Client})
		return at + 2*Delay
	}
	t.Send(agreed+MaxWay, Packet{From: t.Client})
	return agreed + MaxWay
}

// Ask adds bytes of the client and their acknowledgement, and returns when the agent has them.
func (t *Talk) Ask(at time.Duration, text string) time.Duration { return t.say(t.Client, at, text) }

// Reply adds bytes of the agent and their acknowledgement.
func (t *Talk) Reply(at time.Duration, text string) { t.say(t.Agent, at, text) }

func (t *Talk) say(from netip.AddrPort, at time.Duration, text string) time.Duration {
	return t.answered(at, Packet{From: from, Payload: []byte(text)}, Packet{From: t.other(from)}) - Delay
}

// MaxWay is the longest way of a packet that Talk.Way may say.
const MaxWay = 100 * time.Millisecond

// answered adds a packet, and what the other end sends when it has come.
func (t *Talk) answered(at time.Duration, p, answer Packet) time.Duration {
	t.Send(at, p)
	sent := t.packets[len(t.packets)-1].Time.Sub(t.Began)
	switch {
	case t.Way == nil:
		t.Send(at+Delay, answer)
	case p.From == t.Client:
		t.Send(sent+Delay, answer)
	default:
		t.Send(at+MaxWay, answer) // that it has known by then
	}
	return t.packets[len(t.packets)-1].Time.Sub(t.Began)
}

// Close has one end close the connection, and the other follow.
func (t *Talk) Close(at time.Duration, first netip.AddrPort) {
	followed := t.answered(at, Packet{From: first, FIN: true}, Packet{From: t.other(first), FIN: true})
	if t.Way == nil {
		t.Send(at+2*Delay, Packet{From: first})
	} else {
		t.Send(followed+MaxWay, Packet{From: first})
	}
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
