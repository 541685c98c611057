package capturetest

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/gopacket/gopacket/layers"
)

const ipv6HeaderBytes = 40

// fragments splits an IP packet, RFC 791 section 2.3 and RFC 8200 section 4.5.
func fragments(ip []byte, six bool, size int) [][]byte {
	head := int(ip[0]&0xf) * 4
	if six {
		head = ipv6HeaderBytes
	}
	body, at := ip[head:], 0
	var all [][]byte
	for part := range slices.Chunk(body, size) {
		more := at+size < len(body)
		if six {
			all = append(all, fragment6(ip[:head], part, crc32.ChecksumIEEE(body), at, more))
		} else {
			all = append(all, fragment4(ip[:head], part, at, more))
		}
		at += size
	}
	return all
}

func fragment4(head, part []byte, at int, more bool) []byte {
	const moreFragments = 0x2000
	out := slices.Concat(head, part)
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	place := uint16(at / 8)
	if more {
		place |= moreFragments
	}
	binary.BigEndian.PutUint16(out[6:], place)
	return out
}

func fragment6(head, part []byte, id uint32, at int, more bool) []byte {
	place := uint16(at) // in units of 8 bytes, above three bits
	if more {
		place |= 1
	}
	extension := binary.BigEndian.AppendUint16([]byte{head[6], 0}, place)
	return insert(head, byte(layers.IPProtocolIPv6Fragment), binary.BigEndian.AppendUint32(extension, id), part)
}

// insert returns an IPv6 packet with an extension header in front of the payload.
func insert(head []byte, proto byte, extension, payload []byte) []byte {
	out := slices.Concat(head, extension, payload)
	out[6] = proto
	binary.BigEndian.PutUint16(out[4:], uint16(len(extension)+len(payload)))
	return out
}
