package capturetest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"slices"
	"time"
)

// A File says how packets are written to a file. The zero value is pcapng with nanoseconds,
// in little-endian order, over raw IP.
type File struct {
	Link Link
	// Pcap writes the older format; Micro stamps in microseconds, Big in big-endian order.
	Pcap, Micro, Big bool
	// Gzip compresses the file.
	Gzip bool
	// Extended puts extension headers or options into the IP packets.
	Extended bool
	// Snaplen cuts packets off after so many bytes; 0 for not.
	Snaplen int
	// Fragments has IP cut packets into pieces of this many bytes, a multiple of 8, and the last
	// piece sent first; 0 for not.
	Fragments int
	// Faces is the number of interfaces in a pcapng file; 0 is 1.
	Faces int
	// Comment is the section's, and Dropped what the statistics of the interface count; they
	// are in pcapng only.
	Comment string
	Dropped uint64
}

// Write returns the bytes of a file with the packets.
func (f File) Write(packets []Packet) []byte {
	if f.Link == "" {
		f.Link = Raw
	}
	var out []byte
	if f.Pcap {
		out = f.pcap(packets)
	} else {
		out = f.pcapng(packets)
	}
	if !f.Gzip {
		return out
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(out)
	must(err)
	must(z.Close())
	return b.Bytes()
}

func (f File) order() binary.AppendByteOrder {
	if f.Big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (f File) cut(frame []byte) []byte {
	if f.Snaplen > 0 && len(frame) > f.Snaplen {
		return frame[:f.Snaplen]
	}
	return frame
}

func six(packets []Packet) bool { return len(packets) > 0 && packets[0].From.Addr().Is6() }

// pcap writes the format of pcap-savefile(5).
func (f File) pcap(packets []Packet) []byte {
	o := f.order()
	magic, unit := uint32(0xa1b23c4d), time.Nanosecond
	if f.Micro {
		magic, unit = 0xa1b2c3d4, time.Microsecond
	}
	out := o.AppendUint32(nil, magic)
	out = o.AppendUint16(out, 2)
	out = o.AppendUint16(out, 4)
	out = append(out, make([]byte, 8)...)
	out = o.AppendUint32(out, 262144)
	out = o.AppendUint32(out, uint32(f.Link.number(six(packets))))
	for _, p := range packets {
		for _, frame := range f.frames(p) {
			kept := f.cut(frame)
			out = o.AppendUint32(out, uint32(p.Time.Unix()))
			out = o.AppendUint32(out, uint32(time.Duration(p.Time.Nanosecond())*time.Nanosecond/unit))
			out = o.AppendUint32(out, uint32(len(kept)))
			out = o.AppendUint32(out, uint32(len(frame)))
			out = append(out, kept...)
		}
	}
	return out
}

// pcapng writes the format of draft-ietf-opsawg-pcapng: a section, an interface, the packets
// and the statistics of the interface.
func (f File) pcapng(packets []Packet) []byte {
	o := f.order()
	head := o.AppendUint32(nil, 0x1a2b3c4d)
	head = o.AppendUint16(head, 1)
	head = o.AppendUint16(head, 0)
	head = o.AppendUint64(head, ^uint64(0))
	if f.Comment != "" {
		head = f.option(head, 1, []byte(f.Comment))
	}
	out := f.block(nil, 0x0a0d0d0a, head)

	resolution, unit := byte(9), time.Nanosecond
	if f.Micro {
		resolution, unit = 6, time.Microsecond
	}
	face := o.AppendUint16(nil, f.Link.number(six(packets)))
	face = o.AppendUint16(face, 0)
	face = o.AppendUint32(face, 0)
	face = f.option(face, 9, []byte{resolution})
	for range max(f.Faces, 1) {
		out = f.block(out, 1, face)
	}
	for _, p := range packets {
		for _, frame := range f.frames(p) {
			kept := f.cut(frame)
			ticks := uint64(p.Time.UnixNano()) / uint64(unit)
			body := o.AppendUint32(nil, uint32(p.Face))
			body = o.AppendUint32(body, uint32(ticks>>32))
			body = o.AppendUint32(body, uint32(ticks))
			body = o.AppendUint32(body, uint32(len(kept)))
			body = o.AppendUint32(body, uint32(len(frame)))
			out = f.block(out, 6, append(body, kept...))
		}
	}
	statistics := append(o.AppendUint32(nil, 0), make([]byte, 8)...)
	return f.block(out, 5, f.option(statistics, 5, o.AppendUint64(nil, f.Dropped)))
}

// frames returns a packet as it is captured: as one frame, or several.
func (f File) frames(p Packet) [][]byte {
	ip, six := p.Bytes(f.Extended), p.From.Addr().Is6()
	if f.Fragments == 0 {
		return [][]byte{f.Link.frame(ip, six)}
	}
	var all [][]byte
	for _, piece := range fragments(ip, six, f.Fragments) {
		all = append(all, f.Link.frame(piece, six))
	}
	slices.Reverse(all)
	return all
}

// block writes a block around its body.
func (f File) block(out []byte, kind uint32, body []byte) []byte {
	o := f.order()
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	length := uint32(len(body) + 12)
	out = o.AppendUint32(out, kind)
	out = o.AppendUint32(out, length)
	out = append(out, body...)
	return o.AppendUint32(out, length)
}

// option writes one option and the end of options.
func (f File) option(out []byte, code uint16, value []byte) []byte {
	o := f.order()
	out = o.AppendUint16(out, code)
	out = o.AppendUint16(out, uint16(len(value)))
	out = append(out, value...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return append(out, 0, 0, 0, 0)
}

// Frame returns a packet with what goes around it.
func (f File) Frame(p Packet) []byte {
	return f.Link.frame(p.Bytes(f.Extended), p.From.Addr().Is6())
}
