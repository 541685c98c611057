package capture

import (
	"encoding/binary"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A segment is one TCP packet.
type segment struct {
	mark     Mark
	src, dst netip.AddrPort
	seq, ack uint32
	syn, fin bool
	rst      bool
	acks     bool
	payload  []byte
	// wire is the length of the payload as it was sent; more than len(payload) when the
	// packet was cut off at its capture.
	wire int
	// damaged says that the checksum is wrong.
	damaged bool
	// clock is the sender's, in its own ticks; hasClock says that it is there.
	clock    uint32
	hasClock bool
	// id is the identification of the IPv4 packet, which many systems count up for each
	// connection; 0 for none.
	id uint16
	// face is the interface.
	face int
	// at is the offset of the first byte in the stream, and heard the bytes of the other
	// stream that had been received when it was sent; see number.
	at, heard int64
}

// A kind says what a packet is.
type kind uint8

const (
	isSegment kind = iota
	isOtherLink
	isNotTCP
	isFragment
	isUnreadable
)

// The link types that are read, https://www.iana.org/assignments/pcap-linktypes.
const (
	linkRawBSD  layers.LinkType = 12 // what LinkTypeRaw is called on the systems that have it
	linkRawOBSD layers.LinkType = 14
)

// linkName names a link type for people.
func linkName(link layers.LinkType) string {
	switch link {
	case layers.LinkTypeEthernet:
		return "Ethernet"
	case layers.LinkTypeLinuxSLL:
		return "Linux cooked v1"
	case layers.LinkTypeLinuxSLL2:
		return "Linux cooked v2"
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return "BSD loopback"
	case layers.LinkTypeRaw, linkRawBSD, linkRawOBSD, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return "raw IP"
	case layers.LinkTypeIEEE802_11, layers.LinkTypeIEEE80211Radio, layers.LinkTypePrismHeader:
		return "802.11 (Wi-Fi in monitor mode)"
	case layers.LinkTypePPP, layers.LinkTypePPP_HDLC:
		return "PPP"
	case layers.LinkTypePPPEthernet:
		return "PPPoE"
	default:
		return "link type " + link.String()
	}
}

// An ipPacket is what is needed of an IP packet to read what it carries.
type ipPacket struct {
	proto    layers.IPProtocol
	from, to []byte
	payload  []byte
	// wire is the length of the payload as it was sent.
	wire int
	id   uint16
	// fragment says that it is a piece of a packet: piece says which, of packet pieceOf.
	fragment bool
	piece    layers.IPv4
	pieceOf  uint32
}

// decode takes a packet apart. Pieces of packets are given to f, and what they complete is
// returned with the mark of the last.
func decode(p packet, f *fragments) (segment, kind) {
	data, known := network(p.link, p.data)
	switch {
	case !known:
		return segment{}, isOtherLink
	case len(data) == 0:
		return segment{}, isNotTCP
	}
	var ip ipPacket
	var ok bool
	switch data[0] >> 4 {
	case 4:
		ok = ip.decode4(data, p.cut)
	case 6:
		ok = ip.decode6(data, p.cut)
	default:
		return segment{}, isNotTCP
	}
	if ok && ip.fragment {
		if !ip.mayBeTCP() {
			return segment{}, isNotTCP
		}
		if f == nil || !f.add(&ip, p.mark) {
			return segment{}, isFragment
		}
		ok = ip.skipHeaders() // of IPv6, which are in front of it all
	}
	switch {
	case !ok:
		return segment{}, isUnreadable
	case ip.proto != layers.IPProtocolTCP:
		return segment{}, isNotTCP
	}
	var s segment
	what := s.decodeTCP(p.mark, &ip)
	s.face = p.face
	return s, what
}

// mayBeTCP reports whether a piece may be of a TCP packet: it says so, or names another header of
// IPv6 that comes first.
func (p *ipPacket) mayBeTCP() bool {
	switch p.proto {
	case layers.IPProtocolTCP, layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing,
		layers.IPProtocolIPv6Destination, layers.IPProtocolAH:
		return true
	}
	return false
}

// decode4 reads an IPv4 header, RFC 791 section 3.1.
func (p *ipPacket) decode4(data []byte, cut int) bool {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
		return false
	}
	p.proto, p.payload, p.wire, p.id = ip.Protocol, ip.Payload, int(ip.Length)-int(ip.IHL)*4, ip.Id
	if total := binary.BigEndian.Uint16(data[2:4]); total == 0 {
		p.wire = len(p.payload) + cut // segmentation offload has left the length to the card
	}
	p.fragment = ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0
	p.piece, p.pieceOf = ip, uint32(ip.Id)
	p.from, p.to = ip.SrcIP, ip.DstIP
	return true
}

// ipv6HeaderBytes is the length of an IPv6 header without extensions.
const ipv6HeaderBytes = 40

// decode6 reads an IPv6 header, and goes past those that follow it.
func (p *ipPacket) decode6(data []byte, cut int) bool {
	if len(data) < ipv6HeaderBytes {
		return false
	}
	p.proto, p.wire = layers.IPProtocol(data[6]), int(binary.BigEndian.Uint16(data[4:6]))
	p.payload = data[ipv6HeaderBytes:]
	if p.wire == 0 {
		p.wire = len(p.payload) + cut // as with IPv4
	}
	p.payload = p.payload[:min(len(p.payload), p.wire)]
	p.from, p.to = data[8:24], data[24:40]
	return p.skipHeaders()
}

// skipHeaders goes past the headers that may stand between those of IPv6 and of TCP, RFC 8200
// section 4, up to that of a fragment. IPv4 has none but AH.
func (p *ipPacket) skipHeaders() bool {
	p.fragment = false
	for {
		var length int
		switch p.proto {
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			if len(p.payload) < 2 {
				return false
			}
			length = (int(p.payload[1]) + 1) * 8
		case layers.IPProtocolIPv6Fragment:
			if len(p.payload) < 8 {
				return false
			}
			length = 8
			// One that is whole has offset 0 and nothing to follow, RFC 6946.
			p.fragment = binary.BigEndian.Uint16(p.payload[2:4])&^0x6 != 0
		case layers.IPProtocolAH:
			if len(p.payload) < 2 {
				return false
			}
			length = (int(p.payload[1]) + 2) * 4
		default:
			return true
		}
		if len(p.payload) < length {
			return false
		}
		head := p.payload
		p.proto, p.payload, p.wire = layers.IPProtocol(head[0]), head[length:], p.wire-length
		if p.fragment {
			p.fragment6(head, p.payload, p.wire)
			return true
		}
	}
}

// fragment6 notes the piece that a fragment header describes, RFC 8200 section 4.5, as the
// piece of an IPv4 packet that it would be: both are put together by the same rules.
func (p *ipPacket) fragment6(head, payload []byte, wire int) {
	const ipv4HeaderWords = 5
	place := binary.BigEndian.Uint16(head[2:4])
	p.fragment, p.pieceOf = true, binary.BigEndian.Uint32(head[4:8])
	p.piece = layers.IPv4{
		IHL: ipv4HeaderWords, Length: uint16(min(wire+ipv4HeaderWords*4, 0xffff)), FragOffset: place >> 3,
		Protocol: layers.IPProtocol(head[0]), SrcIP: p.from, DstIP: p.to, BaseLayer: layers.BaseLayer{Payload: payload},
	}
	if place&1 != 0 {
		p.piece.Flags = layers.IPv4MoreFragments
	}
}

// decodeTCP reads the TCP header into s.
func (s *segment) decodeTCP(mark Mark, ip *ipPacket) kind {
	var tcp layers.TCP
	if err := tcp.DecodeFromBytes(ip.payload, gopacket.NilDecodeFeedback); err != nil {
		return isUnreadable
	}
	source, _ := netip.AddrFromSlice(ip.from) // 4 or 16 bytes
	target, _ := netip.AddrFromSlice(ip.to)
	*s = segment{
		mark: mark,
		src:  netip.AddrPortFrom(source, uint16(tcp.SrcPort)),
		dst:  netip.AddrPortFrom(target, uint16(tcp.DstPort)),
		seq:  tcp.Seq, ack: tcp.Ack, syn: tcp.SYN, fin: tcp.FIN, rst: tcp.RST, acks: tcp.ACK,
		payload: tcp.Payload, wire: max(ip.wire-int(tcp.DataOffset)*4, len(tcp.Payload)), id: ip.id,
	}
	if s.wire == len(s.payload) {
		s.damaged = !checksumHolds(ip.from, ip.to, ip.payload)
	}
	for _, option := range tcp.Options {
		if option.OptionType == layers.TCPOptionKindTimestamps && len(option.OptionData) == 8 {
			s.clock, s.hasClock = binary.BigEndian.Uint32(option.OptionData[:4]), true
		}
	}
	return isSegment
}
