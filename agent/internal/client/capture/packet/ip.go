package packet

import (
	"encoding/binary"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// An ipPacket is what decoding needs of an IP packet.
type ipPacket struct {
	proto    layers.IPProtocol
	from, to []byte
	payload  []byte
	// length is that of the payload as it was sent.
	length int
	id     uint16
	// fragment says that the packet is piece, a fragment of packet pieceOf.
	fragment bool
	piece    layers.IPv4
	pieceOf  uint32
}

// decode reads the headers; cut bytes of the packet were not captured. It reports whether they
// are valid, and whether data is an IP packet at all.
func (p *ipPacket) decode(data []byte, cut int) (ok, isIP bool) {
	switch data[0] >> 4 {
	case 4:
		return p.decode4(data, cut), true
	case 6:
		return p.decode6(data, cut), true
	}
	return false, false
}

// mayBeTCP reports whether a fragment may be of a TCP packet: it says so, or names an extension
// header of IPv6 that comes first.
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
	p.proto, p.payload, p.length, p.id = ip.Protocol, ip.Payload, int(ip.Length)-int(ip.IHL)*4, ip.Id
	if total := binary.BigEndian.Uint16(data[2:4]); total == 0 {
		p.length = len(p.payload) + cut // segmentation offload leaves the length to the network card
	}
	p.fragment = ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0
	p.piece, p.pieceOf = ip, uint32(ip.Id)
	p.from, p.to = ip.SrcIP, ip.DstIP
	return true
}

// ipv6HeaderBytes is the length of an IPv6 header without extensions.
const ipv6HeaderBytes = 40

// decode6 reads an IPv6 header and skips its extensions.
func (p *ipPacket) decode6(data []byte, cut int) bool {
	if len(data) < ipv6HeaderBytes {
		return false
	}
	p.proto, p.length = layers.IPProtocol(data[6]), int(binary.BigEndian.Uint16(data[4:6]))
	p.payload = data[ipv6HeaderBytes:]
	if p.length == 0 {
		p.length = len(p.payload) + cut // as with IPv4
	}
	p.payload = p.payload[:min(len(p.payload), p.length)]
	p.from, p.to = data[8:24], data[24:40]
	return p.skipExtensions()
}

// skipExtensions skips the headers between IPv6 and TCP (RFC 8200 section 4), up to that of a
// fragment. IPv4 has only AH.
func (p *ipPacket) skipExtensions() bool {
	const shortest = 8 // bytes of an extension header
	p.fragment = false
	for p.proto == layers.IPProtocolIPv6Fragment || p.proto != layers.IPProtocolTCP && p.mayBeTCP() {
		head, length := p.payload, shortest
		if len(head) < shortest {
			return false
		}
		switch p.proto {
		case layers.IPProtocolIPv6Fragment:
			// An atomic fragment has offset 0 and none to follow, RFC 6946.
			p.fragment = binary.BigEndian.Uint16(head[2:4])&^0x6 != 0
		case layers.IPProtocolAH:
			length = (int(head[1]) + 2) * 4
		default:
			length *= int(head[1]) + 1
		}
		if len(head) < length {
			return false
		}
		p.proto, p.payload, p.length = layers.IPProtocol(head[0]), head[length:], p.length-length
		if p.fragment {
			p.readFragment(head)
			break
		}
	}
	return true
}

// readFragment describes a fragment with this header (RFC 8200 section 4.5) as one of IPv4, so
// that both are reassembled by the same code.
func (p *ipPacket) readFragment(head []byte) {
	const ipv4HeaderWords = 5
	place := binary.BigEndian.Uint16(head[2:4])
	p.pieceOf = binary.BigEndian.Uint32(head[4:8])
	p.piece = layers.IPv4{
		IHL: ipv4HeaderWords, Length: uint16(min(p.length+ipv4HeaderWords*4, 0xffff)), FragOffset: place >> 3,
		Protocol: layers.IPProtocol(head[0]), SrcIP: p.from, DstIP: p.to, BaseLayer: layers.BaseLayer{Payload: p.payload},
	}
	if place&1 != 0 {
		p.piece.Flags = layers.IPv4MoreFragments
	}
}
