package sessionstore

import "encoding/binary"

// A decoder reads values from the front of b. After the first that is not there, bad is set and all
// values are zero.
type decoder struct {
	b   []byte
	bad bool
}

// take returns the next n bytes, which are part of b.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	taken := d.b[:n:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() int {
	if b := d.take(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		size = -1 // too long, or cut
		n = 0
	}
	d.take(size)
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		size = -1
		n = 0
	}
	d.take(size)
	return n
}

// count returns the number of items that follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return 0
	}
	return int(n)
}

// bytes returns the bytes after their length, which are part of b; nil for none.
func (d *decoder) bytes() []byte {
	if b := d.take(d.count()); len(b) > 0 {
		return b
	}
	return nil
}

func (d *decoder) str() string { return string(d.bytes()) }

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func bit(set bool, flag uint64) uint64 {
	if set {
		return flag
	}
	return 0
}
