package capture

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// network returns what follows the header of the link: an IP packet, nothing for anything
// else. It reports whether the link type is known.
func network(link layers.LinkType, data []byte) (ip []byte, known bool) {
	switch link {
	case layers.LinkTypeEthernet:
		if len(data) < 14 {
			return nil, true
		}
		return tagged(binary.BigEndian.Uint16(data[12:14]), data[14:]), true
	case layers.LinkTypeLinuxSLL:
		if len(data) < 16 {
			return nil, true
		}
		return tagged(binary.BigEndian.Uint16(data[14:16]), data[16:]), true
	case layers.LinkTypeLinuxSLL2:
		if len(data) < 20 {
			return nil, true
		}
		return tagged(binary.BigEndian.Uint16(data[0:2]), data[20:]), true
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// The family is in the byte order of who captured; that it is IP, the next byte says.
		if len(data) < 5 {
			return nil, true
		}
		return data[4:], true
	case layers.LinkTypeRaw, linkRawBSD, linkRawOBSD, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return data, true
	default:
		return nil, false
	}
}

// tagged goes past VLAN tags, of which there may be several (QinQ), and returns an IP packet
// or nothing.
func tagged(etherType uint16, data []byte) []byte {
	for {
		switch layers.EthernetType(etherType) {
		case layers.EthernetTypeIPv4, layers.EthernetTypeIPv6:
			return data
		case layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ, 0x9100: // what was used before 802.1ad
			if len(data) < 4 {
				return nil
			}
			etherType, data = binary.BigEndian.Uint16(data[2:4]), data[4:]
		default:
			return nil
		}
	}
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
