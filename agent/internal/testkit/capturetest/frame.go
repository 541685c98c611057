package capturetest

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A Link is a way in which packets are framed.
type Link string

// The links.
const (
	Ethernet   Link = "ethernet"
	VLAN       Link = "vlan"
	QinQ       Link = "qinq"
	SLL        Link = "sll"
	SLL2       Link = "sll2"
	NullLittle Link = "null, little-endian"
	NullBig    Link = "null, big-endian"
	Raw        Link = "raw"
	RawIP      Link = "raw IPv4 or IPv6"

	// What packets may be wrapped in, over Ethernet, and a link that is not read.
	MPLS  Link = "mpls"
	PPPoE Link = "pppoe"
	GRE   Link = "gre"
	WiFi  Link = "802.11"
)

// Links returns every link whose packets are read.
func Links() []Link {
	return []Link{Ethernet, VLAN, QinQ, SLL, SLL2, NullLittle, NullBig, Raw, RawIP}
}

// number is the link type in a file, https://www.iana.org/assignments/pcap-linktypes.
func (l Link) number(six bool) uint16 {
	switch l {
	case SLL:
		return 113
	case SLL2:
		return 276
	case NullLittle, NullBig:
		return 0
	case Raw:
		return 101
	case WiFi:
		return 105
	case RawIP:
		if six {
			return 229
		}
		return 228
	default:
		return 1
	}
}

// frame puts an IP packet into what goes around it.
func (l Link) frame(ip []byte, six bool) []byte {
	etherType := []byte{0x08, 0x00}
	if six {
		etherType = []byte{0x86, 0xdd}
	}
	ends := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	join := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range append(parts, ip) {
			all = append(all, p...)
		}
		return all
	}
	family := uint32(2) // AF_INET, and that of AF_INET6 on FreeBSD
	if six {
		family = 28
	}
	switch l {
	case Ethernet:
		return pad(join(ends, etherType))
	case VLAN:
		return pad(join(ends, []byte{0x81, 0x00, 0x00, 0x05}, etherType))
	case QinQ:
		return pad(join(ends, []byte{0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05}, etherType))
	case MPLS: // RFC 3032: a label that is the last
		return pad(join(ends, []byte{0x88, 0x47, 0, 1, 1, 64}))
	case PPPoE: // RFC 2516, and PPP's number of IP
		return pad(join(ends, []byte{0x88, 0x64, 0x11, 0, 0, 1, byte((len(ip) + 2) >> 8), byte(len(ip) + 2), 0, 0x21}))
	case GRE: // RFC 2784, over IPv4
		outer := []byte{0x45, 0, byte((len(ip) + 24) >> 8), byte(len(ip) + 24), 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		return pad(join(ends, []byte{0x08, 0x00}, outer, []byte{0, 0}, etherType))
	case WiFi: // a data frame, with LLC and SNAP
		return join([]byte{0x08, 0, 0, 0}, ends, []byte{2, 0, 0, 0, 0, 3, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0}, etherType)
	case SLL:
		return join([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, etherType)
	case SLL2:
		return join(etherType, []byte{0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0})
	case NullLittle:
		return join(binary.LittleEndian.AppendUint32(nil, family))
	case NullBig:
		return join(binary.BigEndian.AppendUint32(nil, family))
	default:
		return ip
	}
}

// pad fills a short frame up, as Ethernet does.
func pad(frame []byte) []byte {
	for len(frame) < 60 {
		frame = append(frame, 0)
	}
	return frame
}

// Bytes returns the packet as an IP packet. extended puts extension headers into IPv6 and
// options into IPv4.
func (p Packet) Bytes(extended bool) []byte {
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(p.From.Port()), DstPort: layers.TCPPort(p.To.Port()),
		Seq: p.Seq, Ack: p.Ack, SYN: p.SYN, ACK: p.ACK, FIN: p.FIN, RST: p.RST, PSH: len(p.Payload) > 0, Window: 4096,
	}
	if !p.NoClock {
		data := binary.BigEndian.AppendUint32(nil, p.Clock)
		tcp.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindNop, OptionLength: 1}, {OptionType: layers.TCPOptionKindNop, OptionLength: 1},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: binary.BigEndian.AppendUint32(data, 1)},
		}
	}
	from, to := net.IP(p.From.Addr().AsSlice()), net.IP(p.To.Addr().AsSlice())
	var ip gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	if p.From.Addr().Is4() {
		four := &layers.IPv4{Version: 4, TTL: 64, Id: p.ID, Protocol: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
		if extended {
			four.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert
		}
		ip, network = four, four
	} else {
		six := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
		ip, network = six, six
	}
	must(tcp.SetNetworkLayerForChecksum(network))
	buffer := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, tcp, gopacket.Payload(p.Payload)))
	out := buffer.Bytes()
	if extended && p.From.Addr().Is6() {
		out = extend(out)
	}
	return out
}

// extend puts a header of destination options, which says nothing, in front of the payload of
// an IPv6 packet.
func extend(packet []byte) []byte {
	const header = 40
	options := []byte{packet[6], 0, 1, 4, 0, 0, 0, 0} // PadN of six bytes
	out := append([]byte{}, packet[:header]...)
	out[6] = byte(layers.IPProtocolIPv6Destination)
	binary.BigEndian.PutUint16(out[4:6], uint16(len(packet)-header+len(options)))
	return append(append(out, options...), packet[header:]...)
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("a test's packet cannot be made: %v", err))
	}
}
