// Package packet decodes captured frames into TCP segments: it skips the headers of the link and
// of IP, reassembles IP fragments and checks the TCP checksum. It keeps no state of connections.
package packet

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A Mark is the number and the time of a packet.
type Mark struct {
	// Packet counts the packets of the file from 1, as Wireshark does; 0 is no packet.
	Packet int
	Time   time.Time
}

// IsZero reports whether there is no packet.
func (m Mark) IsZero() bool { return m.Packet == 0 }

// A Frame is a packet as it was captured, with the header of its link.
type Frame struct {
	Mark Mark
	Link layers.LinkType
	Data []byte
	// Cut is the number of bytes that were not captured (snaplen).
	Cut int
	// Interface is the number of the interface in the file.
	Interface int
}

// A Segment is one TCP packet.
type Segment struct {
	Mark               Mark
	Src, Dst           netip.AddrPort
	Seq, Ack           uint32
	SYN, FIN, RST, ACK bool
	Payload            []byte
	// Length is that of the payload as it was sent: more than len(Payload) when the packet was
	// cut off at its capture.
	Length int
	// Damaged says that the checksum is wrong.
	Damaged bool
	// Clock is the timestamp of the sender (RFC 7323), in its own ticks, if HasClock is true.
	Clock    uint32
	HasClock bool
	// ID is the identification of the IPv4 packet, which many systems count up for each
	// connection; 0 for none.
	ID uint16
	// Interface is that of the frame.
	Interface int
}

// A Kind says what Decode found in a frame.
type Kind uint8

// The kinds.
const (
	// TCP: a segment.
	TCP Kind = iota
	// OtherLink: the link type is not supported.
	OtherLink
	// Other: something else than TCP over IP.
	Other
	// Fragment: a piece of an IP packet that is not complete yet.
	Fragment
	// Unreadable: headers that are cut off or invalid.
	Unreadable
)

// Decode returns the TCP segment of a frame. Fragments are added to pending, and the last one
// returns the segment of all; without pending they are dropped.
func Decode(f Frame, pending *Fragments) (Segment, Kind) {
	data, known := network(f.Link, f.Data)
	switch {
	case !known:
		return Segment{}, OtherLink
	case len(data) == 0:
		return Segment{}, Other
	}
	var ip ipPacket
	ok, isIP := ip.decode(data, f.Cut)
	if !isIP {
		return Segment{}, Other
	}
	if ok && ip.fragment {
		if !ip.mayBeTCP() {
			return Segment{}, Other
		}
		if pending == nil || !pending.add(&ip, f.Mark) {
			return Segment{}, Fragment
		}
		ok = ip.skipExtensions() // those of IPv6 are in front of the whole packet
	}
	switch {
	case !ok:
		return Segment{}, Unreadable
	case ip.proto != layers.IPProtocolTCP:
		return Segment{}, Other
	}
	return ip.decodeTCP(f)
}

// decodeTCP decodes the TCP packet in an IP packet.
func (p *ipPacket) decodeTCP(f Frame) (Segment, Kind) {
	var tcp layers.TCP
	if err := tcp.DecodeFromBytes(p.payload, gopacket.NilDecodeFeedback); err != nil {
		return Segment{}, Unreadable
	}
	source, _ := netip.AddrFromSlice(p.from) // 4 or 16 bytes
	target, _ := netip.AddrFromSlice(p.to)
	s := Segment{
		Mark: f.Mark, Interface: f.Interface,
		Src: netip.AddrPortFrom(source, uint16(tcp.SrcPort)), Dst: netip.AddrPortFrom(target, uint16(tcp.DstPort)),
		Seq: tcp.Seq, Ack: tcp.Ack, SYN: tcp.SYN, FIN: tcp.FIN, RST: tcp.RST, ACK: tcp.ACK,
		Payload: tcp.Payload, Length: max(p.length-int(tcp.DataOffset)*4, len(tcp.Payload)), ID: p.id,
	}
	s.Damaged = s.Length == len(s.Payload) && !p.checksumValid()
	for _, option := range tcp.Options {
		if option.OptionType == layers.TCPOptionKindTimestamps && len(option.OptionData) == 8 {
			s.Clock, s.HasClock = binary.BigEndian.Uint32(option.OptionData[:4]), true
		}
	}
	return s, TCP
}

// checksumValid reports whether the TCP checksum is right (RFC 9293 section 3.1), or was left to
// the network card: such a packet is captured with that of the pseudo-header alone, or with 0.
func (p *ipPacket) checksumValid() bool {
	pseudo := gopacket.ComputeChecksum(p.from, uint32(layers.IPProtocolTCP)+uint32(len(p.payload)))
	pseudo = gopacket.ComputeChecksum(p.to, pseudo)
	found := binary.BigEndian.Uint16(p.payload[16:18])
	return found == 0 || gopacket.FoldChecksum(gopacket.ComputeChecksum(p.payload, pseudo)) == 0 ||
		found == ^gopacket.FoldChecksum(pseudo)
}
