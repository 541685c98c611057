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
	default:
		return "link type " + link.String()
	}
}

// decode takes a packet apart.
func decode(p packet) (segment, kind) {
	data, known := network(p.link, p.data)
	switch {
	case !known:
		return segment{}, isOtherLink
	case len(data) == 0:
		return segment{}, isNotTCP
	}
	var s segment
	var proto layers.IPProtocol
	var payload []byte
	var wire int
	var k kind
	var from, to []byte
	switch data[0] >> 4 {
	case 4:
		var ip layers.IPv4
		if err := ip.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
			return segment{}, isUnreadable
		}
		proto, payload, wire = ip.Protocol, ip.Payload, int(ip.Length)-int(ip.IHL)*4
		if total := binary.BigEndian.Uint16(data[2:4]); total == 0 {
			wire = len(payload) + p.cut // segmentation offload has left the length to the card
		}
		if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
			k = isFragment
		}
		from, to = ip.SrcIP, ip.DstIP
	case 6:
		var fragment bool
		proto, payload, wire, fragment = decodeIPv6(data, p.cut)
		if proto == layers.IPProtocolNoNextHeader && payload == nil {
			return segment{}, isUnreadable
		}
		if fragment {
			k = isFragment
		}
		from, to = data[8:24], data[24:40]
	default:
		return segment{}, isNotTCP
	}
	switch {
	case proto != layers.IPProtocolTCP:
		return segment{}, isNotTCP
	case k == isFragment:
		return segment{}, isFragment
	}
	return s, s.decodeTCP(p.mark, from, to, payload, wire)
}

// ipv6HeaderBytes is the length of an IPv6 header without extensions.
const ipv6HeaderBytes = 40

// decodeIPv6 goes past the headers of an IPv6 packet, RFC 8200 section 4. What cannot be
// read has no payload and no next header.
func decodeIPv6(data []byte, cut int) (next layers.IPProtocol, payload []byte, wire int, fragment bool) {
	if len(data) < ipv6HeaderBytes {
		return layers.IPProtocolNoNextHeader, nil, 0, false
	}
	next, wire = layers.IPProtocol(data[6]), int(binary.BigEndian.Uint16(data[4:6]))
	payload = data[ipv6HeaderBytes:]
	if wire == 0 {
		wire = len(payload) + cut // as with IPv4
	}
	payload = payload[:min(len(payload), wire)]
	for {
		var length int
		switch next {
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			if len(payload) < 2 {
				return layers.IPProtocolNoNextHeader, nil, 0, false
			}
			length = (int(payload[1]) + 1) * 8
		case layers.IPProtocolIPv6Fragment:
			// One that is whole has offset 0 and nothing to follow, RFC 6946.
			if len(payload) < 8 {
				return layers.IPProtocolNoNextHeader, nil, 0, false
			}
			length = 8
			fragment = fragment || binary.BigEndian.Uint16(payload[2:4])&^0x6 != 0
		case layers.IPProtocolAH:
			if len(payload) < 2 {
				return layers.IPProtocolNoNextHeader, nil, 0, false
			}
			length = (int(payload[1]) + 2) * 4
		default:
			return next, payload, wire, fragment
		}
		if len(payload) < length {
			return layers.IPProtocolNoNextHeader, nil, 0, false
		}
		next, payload, wire = layers.IPProtocol(payload[0]), payload[length:], wire-length
	}
}

// decodeTCP reads the TCP header into s.
func (s *segment) decodeTCP(mark Mark, from, to, data []byte, wire int) kind {
	var tcp layers.TCP
	if err := tcp.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
		return isUnreadable
	}
	source, _ := netip.AddrFromSlice(from) // 4 or 16 bytes
	target, _ := netip.AddrFromSlice(to)
	*s = segment{
		mark: mark,
		src:  netip.AddrPortFrom(source, uint16(tcp.SrcPort)),
		dst:  netip.AddrPortFrom(target, uint16(tcp.DstPort)),
		seq:  tcp.Seq, ack: tcp.Ack, syn: tcp.SYN, fin: tcp.FIN, rst: tcp.RST, acks: tcp.ACK,
		payload: tcp.Payload, wire: max(wire-int(tcp.DataOffset)*4, len(tcp.Payload)),
	}
	if s.wire == len(s.payload) {
		s.damaged = !checksumHolds(from, to, data)
	}
	for _, option := range tcp.Options {
		if option.OptionType == layers.TCPOptionKindTimestamps && len(option.OptionData) == 8 {
			s.clock, s.hasClock = binary.BigEndian.Uint32(option.OptionData[:4]), true
		}
	}
	return isSegment
}
