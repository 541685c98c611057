package capturetest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"slices"
	"time"
)

// A File says how packets are written to a file. The zero value is pcapng with nanoseconds, in
// little-endian order, over raw IP.
type File struct {
	Link Link
	// Pcap writes the older format; Micro stamps in microseconds, Big in big-endian order.
	Pcap, Micro, Big bool
	// Gzip compresses the file.
	Gzip bool
	// Extended adds extension headers or options to the IP packets.
	Extended bool
	// Snaplen cuts packets off after this many bytes; 0 for none.
	Snaplen int
	// Fragments splits IP packets into fragments of this many bytes, a multiple of 8, the last
	// sent first; 0 for none.
	Fragments int
	// Faces is the number of interfaces in a pcapng file; 0 is 1.
	Faces int
	// Comment is that of the section, and Dropped that of the interface statistics; pcapng only.
	Comment string
	Dropped uint64
}

// Write returns a file with the packets.
func (f File) Write(packets []Packet) []byte {
	if f.Link == "" {
		f.Link = Raw
	}
	write := f.pcapng
	if f.Pcap {
		write = f.pcap
	}
	out := write(packets)
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

// append adds values of fixed size in the byte order of the file.
func (f File) append(out []byte, values ...any) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if f.Big {
		order = binary.BigEndian
	}
	for _, value := range values {
		var err error
		out, err = binary.Append(out, order, value)
		must(err)
	}
	return out
}

func (f File) linkNumber(packets []Packet) uint16 {
	return f.Link.number(len(packets) > 0 && packets[0].From.Addr().Is6())
}

// pcap writes the format of pcap-savefile(5).
func (f File) pcap(packets []Packet) []byte {
	magic, unit := uint32(0xa1b23c4d), time.Nanosecond
	if f.Micro {
		magic, unit = 0xa1b2c3d4, time.Microsecond
	}
	out := f.append(nil, magic, []uint16{2, 4}, []uint32{0, 0, 262144, uint32(f.linkNumber(packets))})
	for _, p := range packets {
		for _, frame := range f.frames(p) {
			kept := f.cut(frame)
			out = f.append(out, []uint32{uint32(p.Time.Unix()), uint32(p.Time.Nanosecond() / int(unit)), uint32(len(kept)), uint32(len(frame))}, kept)
		}
	}
	return out
}

// Block types and option codes of pcapng.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6

	optionComment    = 1
	optionDropped    = 5
	optionResolution = 9
)

// pcapng writes the format of draft-ietf-opsawg-pcapng: a section, its interfaces, the packets
// and the statistics of the first interface.
func (f File) pcapng(packets []Packet) []byte {
	head := f.append(nil, uint32(0x1a2b3c4d), []uint16{1, 0}, ^uint64(0))
	if f.Comment != "" {
		head = f.option(head, optionComment, []byte(f.Comment))
	}
	out := f.block(nil, blockSection, head)
	resolution, unit := byte(9), time.Nanosecond
	if f.Micro {
		resolution, unit = 6, time.Microsecond
	}
	face := f.option(f.append(nil, []uint16{f.linkNumber(packets), 0}, uint32(0)), optionResolution, []byte{resolution})
	for range max(f.Faces, 1) {
		out = f.block(out, blockInterface, face)
	}
	for _, p := range packets {
		for _, frame := range f.frames(p) {
			kept, ticks := f.cut(frame), uint64(p.Time.UnixNano())/uint64(unit)
			out = f.block(out, blockPacket, f.append(nil,
				[]uint32{uint32(p.Face), uint32(ticks >> 32), uint32(ticks), uint32(len(kept)), uint32(len(frame))}, kept))
		}
	}
	return f.block(out, blockStatistics, f.option(make([]byte, 12), optionDropped, f.append(nil, f.Dropped)))
}

// frames returns the frames in which a packet is captured: one, or its fragments.
func (f File) frames(p Packet) [][]byte {
	ip, six := p.Bytes(f.Extended), p.From.Addr().Is6()
	if f.Fragments == 0 {
		return [][]byte{f.Link.frame(ip, six)}
	}
	all := fragments(ip, six, f.Fragments)
	for i := range all {
		all[i] = f.Link.frame(all[i], six)
	}
	slices.Reverse(all)
	return all
}

func (f File) cut(frame []byte) []byte {
	if f.Snaplen > 0 && len(frame) > f.Snaplen {
		return frame[:f.Snaplen]
	}
	return frame
}

// block adds a block with its body padded to 4 bytes.
func (f File) block(out []byte, kind uint32, body []byte) []byte {
	body = pad(body, (len(body)+3)/4*4)
	length := uint32(len(body) + 12)
	return f.append(out, kind, length, body, length)
}

// option adds one option and the end of options.
func (f File) option(out []byte, code uint16, value []byte) []byte {
	return f.append(out, code, uint16(len(value)), pad(value, (len(value)+3)/4*4), uint32(0))
}

// pad adds zeros up to a length.
func pad(data []byte, length int) []byte {
	return append(slices.Clip(data), make([]byte, max(0, length-len(data)))...)
}

// Frame returns a packet in the frame of its link.
func (f File) Frame(p Packet) []byte {
	return f.Link.frame(p.Bytes(f.Extended), p.From.Addr().Is6())
}
