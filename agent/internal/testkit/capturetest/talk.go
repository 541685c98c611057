// Package capturetest makes captures for tests: the packets of a conversation, which a test may
// drop, duplicate, reorder or change, and a file of them. It writes files without the library
// that package capture reads them with.
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
	// Clock is the TCP timestamp of the sender in milliseconds (RFC 7323); NoClock omits it.
	Clock   uint32
	NoClock bool
	// ID is the identification of an IPv4 packet, 0 for none. Linux counts it for each
	// connection.
	ID uint16
	// Face is the number of the interface in a pcapng file, from 0.
	Face int

	// known is the time up to which the sender has received packets of the other end.
	known time.Time
	// said says that Payload is what the sender says, and not yet encrypted.
	said bool
}

// A Talk is one connection between a client and an agent. Its methods add packets at times
// relative to Began.
type Talk struct {
	Client, Agent netip.AddrPort
	Began         time.Time
	// NoClock omits TCP timestamps, NoID the IPv4 identifications.
	NoClock, NoID bool
	// Way is the travel time of a packet that the client sends at a time, for a capture at the
	// agent. Packets must not overtake one another. Nil for a capture at the client.
	Way func(at time.Duration) time.Duration
	// TLS encrypts what is said, and has its handshake after that of TCP; nil for plain.
	TLS *TLS

	first   map[netip.AddrPort]uint32
	packets []Packet
}

// Delay is the time from a packet to its acknowledgement.
const Delay = 40 * time.Microsecond

// NewTalk returns a connection whose streams have these initial sequence numbers.
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
	slices.SortStableFunc(t.packets, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	t.encrypt()
	all := slices.Clone(t.packets)
	seq := maps.Clone(t.first)
	for i := range all {
		p := &all[i]
		p.Seq, p.Ack = seq[p.From], t.first[p.To]
		for j := i - 1; j >= 0; j-- { // it acknowledges what was received by then
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

// Number sets the IPv4 identifications of each sender in the order of the packets, as Linux does:
// that of a SYN-ACK is 0. A packet that follows its duplicate has the same.
func Number(packets []Packet) {
	type stream struct{ from, to netip.AddrPort }
	last := map[stream]uint16{}
	var before Packet // without its new number
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

// encrypt encrypts what is said and is not encrypted yet. The ends say it in the order of the packets.
func (t *Talk) encrypt() {
	for i := range t.packets {
		p := &t.packets[i]
		switch {
		case t.TLS == nil || !p.said:
		case p.FIN:
			p.Payload = t.TLS.Close(p.From == t.Client)
		default:
			p.Payload = t.TLS.Say(p.From == t.Client, p.Payload)
		}
		p.said = false
	}
}

// Open adds the handshake and returns the time at which the client can send.
func (t *Talk) Open(at time.Duration) time.Duration {
	agreed := t.answered(at, Packet{From: t.Client, SYN: true}, Packet{From: t.Agent, SYN: true, ACK: true})
	if t.Way == nil {
		t.Send(at+2*Delay, Packet{From: t.Client})
		return t.openTLS(at + 2*Delay)
	}
	t.Send(agreed+MaxWay, Packet{From: t.Client})
	return t.openTLS(agreed + MaxWay)
}

// openTLS adds the handshake of TLS, if there is one.
func (t *Talk) openTLS(at time.Duration) time.Duration {
	if t.TLS == nil {
		return at
	}
	for _, f := range t.TLS.handshake {
		from := t.Agent
		if f.fromClient {
			from = t.Client
		}
		t.Send(at, Packet{From: from, Payload: f.data})
		switch {
		case t.Way == nil:
			at += Delay
		case f.fromClient: // the agent answers when it arrives
			at = t.packets[len(t.packets)-1].Time.Sub(t.Began) + Delay
		default:
			at += MaxWay
		}
	}
	return at
}

// Ask adds bytes of the client and their acknowledgement, and returns their time of arrival.
func (t *Talk) Ask(at time.Duration, text string) time.Duration { return t.say(t.Client, at, text) }

// Reply adds bytes of the agent and their acknowledgement.
func (t *Talk) Reply(at time.Duration, text string) { t.say(t.Agent, at, text) }

func (t *Talk) say(from netip.AddrPort, at time.Duration, text string) time.Duration {
	return t.answered(at, Packet{From: from, Payload: []byte(text), said: true}, Packet{From: t.other(from)}) - Delay
}

// MaxWay bounds the travel times of Talk.Way.
const MaxWay = 100 * time.Millisecond

// answered adds a packet and the answer of the other end when it arrives, and returns its time.
func (t *Talk) answered(at time.Duration, p, answer Packet) time.Duration {
	t.Send(at, p)
	sent := t.packets[len(t.packets)-1].Time.Sub(t.Began)
	switch {
	case t.Way == nil:
		t.Send(at+Delay, answer)
	case p.From == t.Client:
		t.Send(sent+Delay, answer)
	default:
		t.Send(at+MaxWay, answer) // the packet has arrived by then
	}
	return t.packets[len(t.packets)-1].Time.Sub(t.Began)
}

// Close adds the FIN of one end and then that of the other.
func (t *Talk) Close(at time.Duration, first netip.AddrPort) {
	followed := t.answered(at, Packet{From: first, FIN: true, said: true}, Packet{From: t.other(first), FIN: true, said: true})
	if t.Way == nil {
		t.Send(at+2*Delay, Packet{From: first})
	} else {
		t.Send(followed+MaxWay, Packet{From: first})
	}
}

// Reset adds a reset of one end.
func (t *Talk) Reset(at time.Duration, from netip.AddrPort) {
	t.Send(at, Packet{From: from, RST: true})
}

// Merge returns the packets of connections in the order of their times.
func Merge(talks ...*Talk) []Packet {
	var all []Packet
	for _, t := range talks {
		all = append(all, t.Packets()...)
	}
	slices.SortStableFunc(all, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	return all
}

// Split splits a packet at a byte of its payload; the second part is later.
func Split(p Packet, at int, later time.Duration) (Packet, Packet) {
	first, second := p, p
	first.Payload, second.Payload = p.Payload[:at], p.Payload[at:]
	first.FIN = false
	second.Seq += uint32(at)
	second.Time = p.Time.Add(later)
	return first, second
}
