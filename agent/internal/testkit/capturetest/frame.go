package capturetest

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A Link is a kind of link, or a tunnel over Ethernet.
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

	// Tunnels, and a link that is not supported.
	MPLS  Link = "mpls"
	PPPoE Link = "pppoe"
	GRE   Link = "gre"
	WiFi  Link = "802.11"
)

// Links returns every link that package capture supports.
func Links() []Link {
	return []Link{Ethernet, VLAN, QinQ, SLL, SLL2, NullLittle, NullBig, Raw, RawIP}
}

// number is the link type in a file, https://www.iana.org/assignments/pcap-linktypes.
func (l Link) number(six bool) uint16 {
	if l == RawIP && six {
		return 229
	}
	numbers := map[Link]uint16{SLL: 113, SLL2: 276, NullLittle: 0, NullBig: 0, Raw: 101, WiFi: 105, RawIP: 228}
	if number, ok := numbers[l]; ok {
		return number
	}
	return 1 // Ethernet
}

// frame adds the headers of the link to an IP packet.
func (l Link) frame(ip []byte, six bool) []byte {
	etherType, family := []byte{0x08, 0x00}, uint32(2) // AF_INET
	if six {
		etherType, family = []byte{0x86, 0xdd}, 28 // AF_INET6 on FreeBSD
	}
	const minEthernet = 60
	ethernet := func(headers ...[]byte) []byte {
		addresses := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
		return pad(slices.Concat(addresses, slices.Concat(headers...), ip), minEthernet)
	}
	switch n := len(ip); l {
	case Ethernet:
		return ethernet(etherType)
	case VLAN:
		return ethernet([]byte{0x81, 0x00, 0x00, 0x05}, etherType)
	case QinQ:
		return ethernet([]byte{0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05}, etherType)
	case MPLS: // RFC 3032: one label
		return ethernet([]byte{0x88, 0x47, 0, 1, 1, 64})
	case PPPoE: // RFC 2516, with PPP's number of IP
		return ethernet([]byte{0x88, 0x64, 0x11, 0, 0, 1, byte((n + 2) >> 8), byte(n + 2), 0, 0x21})
	case GRE: // RFC 2784, over IPv4
		outer := []byte{0x45, 0, byte((n + 24) >> 8), byte(n + 24), 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		return ethernet([]byte{0x08, 0x00}, outer, []byte{0, 0}, etherType)
	case WiFi: // a data frame with three addresses, LLC and SNAP
		return slices.Concat([]byte{0x08, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0}, etherType, ip)
	case SLL:
		return slices.Concat([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, etherType, ip)
	case SLL2:
		return slices.Concat(etherType, []byte{0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, ip)
	case NullLittle:
		return append(binary.LittleEndian.AppendUint32(nil, family), ip...)
	case NullBig:
		return append(binary.BigEndian.AppendUint32(nil, family), ip...)
	default:
		return ip
	}
}

// Bytes returns the IP packet. extended adds extension headers to IPv6 and options to IPv4.
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
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if p.From.Addr().Is4() {
		four := &layers.IPv4{Version: 4, TTL: 64, Id: p.ID, Protocol: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
		if extended {
			four.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert
		}
		ip = four
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: from, DstIP: to}
	}
	must(tcp.SetNetworkLayerForChecksum(ip))
	buffer := gopacket.NewSerializeBuffer()
	must(gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, tcp, gopacket.Payload(p.Payload)))
	out := buffer.Bytes()
	if extended && p.From.Addr().Is6() {
		destinationOptions := []byte{out[6], 0, 1, 4, 0, 0, 0, 0} // PadN of six bytes
		out = insert(out[:ipv6HeaderBytes], byte(layers.IPProtocolIPv6Destination), destinationOptions, out[ipv6HeaderBytes:])
	}
	return out
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("cannot make a test packet: %v", err))
	}
}
