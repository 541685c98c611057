package packet

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// The link types of raw IP on BSD, https://www.iana.org/assignments/pcap-linktypes.
const (
	linkRawBSD  layers.LinkType = 12
	linkRawOBSD layers.LinkType = 14
)

var linkNames = map[layers.LinkType]string{
	layers.LinkTypeEthernet:       "Ethernet",
	layers.LinkTypeLinuxSLL:       "Linux cooked v1",
	layers.LinkTypeLinuxSLL2:      "Linux cooked v2",
	layers.LinkTypeNull:           "BSD loopback",
	layers.LinkTypeLoop:           "BSD loopback",
	layers.LinkTypeRaw:            "raw IP",
	linkRawBSD:                    "raw IP",
	linkRawOBSD:                   "raw IP",
	layers.LinkTypeIPv4:           "raw IP",
	layers.LinkTypeIPv6:           "raw IP",
	layers.LinkTypeIEEE802_11:     "802.11 (Wi-Fi in monitor mode)",
	layers.LinkTypeIEEE80211Radio: "802.11 (Wi-Fi in monitor mode)",
	layers.LinkTypePrismHeader:    "802.11 (Wi-Fi in monitor mode)",
	layers.LinkTypePPP:            "PPP",
	layers.LinkTypePPP_HDLC:       "PPP",
	layers.LinkTypePPPEthernet:    "PPPoE",
}

// LinkName names a link type for people.
func LinkName(link layers.LinkType) string {
	if name, ok := linkNames[link]; ok {
		return name
	}
	return "link type " + link.String()
}

// network skips the header of the link and returns the IP packet, nothing for other protocols.
// known is false when the link type is not supported.
func network(link layers.LinkType, data []byte) (ip []byte, known bool) {
	switch LinkName(link) {
	case "BSD loopback":
		// The address family is in the byte order of the capturing host; the IP header tells more.
		return data[min(len(data), 4):], true
	case "raw IP":
		return data, true
	}
	etherType, data, known := ethernet(link, data)
	if etherType != layers.EthernetTypeIPv4 && etherType != layers.EthernetTypeIPv6 {
		return nil, known
	}
	return data, true
}

// ethernet skips the header of a link that has an EtherType, and VLAN tags. A header that is cut
// off has no EtherType and no payload.
func ethernet(link layers.LinkType, data []byte) (etherType layers.EthernetType, payload []byte, known bool) {
	var at, header int // the offset of the EtherType and the length of the header
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
	const beforeDot1ad = 0x9100 // QinQ before 802.1ad
	for etherType == layers.EthernetTypeDot1Q || etherType == layers.EthernetTypeQinQ || etherType == beforeDot1ad {
		if len(payload) < 4 {
			return 0, nil, true
		}
		etherType, payload = layers.EthernetType(binary.BigEndian.Uint16(payload[2:4])), payload[4:]
	}
	return etherType, payload, true
}

var tunnelsByEtherType = map[layers.EthernetType]string{
	layers.EthernetTypeMPLSUnicast:    "MPLS",
	layers.EthernetTypeMPLSMulticast:  "MPLS",
	layers.EthernetTypePPPoESession:   "PPPoE",
	layers.EthernetTypePPPoEDiscovery: "PPPoE",
	0x88e5:                            "MACsec",
}

var tunnelsByProtocol = map[layers.IPProtocol]string{
	layers.IPProtocolGRE:  "GRE",
	layers.IPProtocolIPIP: "IP in IP",
	layers.IPProtocolIPv6: "IPv6 in IP",
	layers.IPProtocolESP:  "IPsec ESP",
}

var tunnelsByUDPPort = map[uint16]string{
	4789: "VXLAN",  // RFC 7348
	6081: "Geneve", // RFC 8926
	2152: "GTP-U",  // 3GPP TS 29.281
}

// Tunnel names the tunnel that a frame of kind Other belongs to; empty for none.
func Tunnel(f Frame) string {
	etherType, _, _ := ethernet(f.Link, f.Data)
	if name := tunnelsByEtherType[etherType]; name != "" {
		return name
	}
	data, _ := network(f.Link, f.Data)
	if len(data) == 0 {
		return ""
	}
	var ip ipPacket
	switch ok, isIP := ip.decode(data, f.Cut); {
	case isIP && !ok:
		return ""
	case ip.proto == layers.IPProtocolUDP && len(ip.payload) >= 4 && !ip.fragment:
		return tunnelsByUDPPort[binary.BigEndian.Uint16(ip.payload[2:4])]
	}
	return tunnelsByProtocol[ip.proto]
}
