package capture

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// network returns what follows the header of the link: an IP packet, nothing for anything
// else. It reports whether the link type is known.
func network(link layers.LinkType, data []byte) (ip []byte, known bool) {
	switch link {
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// The family is in the byte order of who captured; that it is IP, the next byte says.
		if len(data) < 5 {
			return nil, true
		}
		return data[4:], true
	case layers.LinkTypeRaw, linkRawBSD, linkRawOBSD, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return data, true
	}
	etherType, data, known := framed(link, data)
	if etherType != layers.EthernetTypeIPv4 && etherType != layers.EthernetTypeIPv6 {
		return nil, known
	}
	return data, true
}

// framed goes past the header of a link that says what follows it. It reports whether it knows
// the link; a header that is cut off is followed by nothing.
func framed(link layers.LinkType, data []byte) (etherType layers.EthernetType, payload []byte, known bool) {
	var at, header int // where the type is, in bytes, and how long the header
	switch link {
	case layers.LinkTypeEthernet:
		at, header = 12, 14
	case layers.LinkTypeLinuxSLL:
		at, header = 14, 16
	case layers.LinkTypeLinuxSLL2:
		at, header = 0, 20
	default:
		return 0, nil, false
	}
	if len(data) < header {
		return 0, nil, true
	}
	etherType, payload = layers.EthernetType(binary.BigEndian.Uint16(data[at:])), data[header:]
	for {
		switch etherType {
		case layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ, 0x9100: // VLAN; the last is what was used before 802.1ad
			if len(payload) < 4 {
				return 0, nil, true
			}
			etherType, payload = layers.EthernetType(binary.BigEndian.Uint16(payload[2:4])), payload[4:]
		default:
			return etherType, payload, true
		}
	}
}

// The ports of UDP on which packets are wrapped.
const (
	portVXLAN  = 4789 // RFC 7348
	portGeneve = 6081 // RFC 8926
	portGTPU   = 2152 // 3GPP TS 29.281
)

// tunnel names what a packet, which is not TCP, is wrapped in; empty for nothing.
func tunnel(p packet) string {
	etherType, _, _ := framed(p.link, p.data)
	switch etherType {
	case layers.EthernetTypeMPLSUnicast, layers.EthernetTypeMPLSMulticast:
		return "MPLS"
	case layers.EthernetTypePPPoESession, layers.EthernetTypePPPoEDiscovery:
		return "PPPoE"
	case 0x88e5:
		return "MACsec"
	}
	data, _ := network(p.link, p.data)
	var ip ipPacket
	if len(data) == 0 || data[0]>>4 == 4 && !ip.decode4(data, p.cut) || data[0]>>4 == 6 && !ip.decode6(data, p.cut) {
		return ""
	}
	switch ip.proto {
	case layers.IPProtocolGRE:
		return "GRE"
	case layers.IPProtocolIPIP:
		return "IP in IP"
	case layers.IPProtocolIPv6:
		return "IPv6 in IP"
	case layers.IPProtocolESP:
		return "IPsec ESP"
	case layers.IPProtocolUDP:
		if len(ip.payload) >= 4 && !ip.fragment {
			switch binary.BigEndian.Uint16(ip.payload[2:4]) {
			case portVXLAN:
				return "VXLAN"
			case portGeneve:
				return "Geneve"
			case portGTPU:
				return "GTP-U"
			}
		}
	}
	return ""
}

// checksumHolds reports whether the checksum of a TCP packet is right, RFC 9293 section 3.1.
// One that is left to the network card is, too: packets are captured before the card has
// worked it out, and hold the sum of the pseudo-header alone, or nothing.
func checksumHolds(from, to, tcp []byte) bool {
	pseudo := add16(add16(0, from), to) + uint32(layers.IPProtocolTCP) + uint32(len(tcp))
	found := binary.BigEndian.Uint16(tcp[16:18])
	return found == 0 || fold(add16(pseudo, tcp)) == 0xffff || found == fold(pseudo)
}

// add16 adds the 16-bit words of data.
func add16(sum uint32, data []byte) uint32 {
	for ; len(data) >= 2; data = data[2:] {
		sum += uint32(data[0])<<8 | uint32(data[1])
		sum = sum&0xffff + sum>>16
	}
	if len(data) == 1 {
		sum += uint32(data[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
