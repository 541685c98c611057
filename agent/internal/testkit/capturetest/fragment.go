package capturetest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/gopacket/gopacket/layers"
)

// fragments cuts an IP packet into pieces, RFC 791 section 2.3 and RFC 8200 section 4.5.
func fragments(ip []byte, six bool, size int) [][]byte {
	const header6 = 40
	head := int(ip[0]&0xf) * 4
	if six {
		head = header6
	}
	body := ip[head:]
	var all [][]byte
	for at := 0; at < len(body); at += size {
		part := body[at:min(at+size, len(body))]
		more := at+size < len(body)
		if six {
			all = append(all, piece6(ip[:head], part, crc32.ChecksumIEEE(body), at, more))
		} else {
			all = append(all, piece4(ip[:head], part, at, more))
		}
	}
	return all
}

func piece4(head, part []byte, at int, more bool) []byte {
	const moreFragments = 0x2000
	out := append(append([]byte{}, head...), part...)
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	place := uint16(at / 8)
	if more {
		place |= moreFragments
	}
	binary.BigEndian.PutUint16(out[6:], place)
	return out
}

func piece6(head, part []byte, id uint32, at int, more bool) []byte {
	out := append([]byte{}, head...)
	place := uint16(at) // counted in units of 8 bytes, above three bits
	if more {
		place |= 1
	}
	extra := binary.BigEndian.AppendUint16([]byte{head[6], 0}, place)
	extra = binary.BigEndian.AppendUint32(extra, id)
	out[6] = byte(layers.IPProtocolIPv6Fragment)
	binary.BigEndian.PutUint16(out[4:], uint16(len(extra)+len(part)))
	return append(append(out, extra...), part...)
}
