package capture

import "sort"

// A Part is a part of a stream and what it stands for, as a record of TLS stands for its data.
type Part struct {
	// Begin and End are the offsets of the first byte and behind the last.
	Begin, End int64
	// Data is what the bytes stand for; a reader has all of it when it has the last byte. Parts
	// of the encoding itself have none.
	Data []byte
}

// Decode replaces both streams by what their parts stand for, which are in order and without a gap
// from the beginnings of the streams. From then on, the offsets of chunks and packets count decoded
// bytes, and each has the packet that completed its part. Missing, Conflicts, Damaged and Late
// stay those of the packets; what the parts do not cover is Undecoded.
func (c *Conn) Decode(up, down []Part) {
	ofUp, ofDown := newScale(up), newScale(down)
	c.Up.decode(up, ofUp, ofDown)
	c.Down.decode(down, ofDown, ofUp)
}

func (s *Stream) decode(parts []Part, own, other scale) {
	chunk := Chunk{Data: make([]byte, 0, own.decoded())}
	for _, p := range parts {
		if len(p.Data) == 0 {
			continue
		}
		last := s.arrivalOf(p.End - 1)
		chunk.arrivals = append(chunk.arrivals, arrival{from: len(chunk.Data), mark: last.mark, acked: other.complete(last.acked)})
		chunk.Data = append(chunk.Data, p.Data...)
	}
	for _, c := range s.Chunks {
		s.Undecoded.add(c, own.end())
	}
	s.Chunks = nil
	if len(chunk.Data) > 0 {
		s.Chunks = []Chunk{chunk}
	}
	for i := range s.Packets {
		p := &s.Packets[i]
		if p.pure { // it shows what was not sent, so a part of which bytes were counts as sent
			p.Begin = own.begun(p.Begin)
			p.End = p.Begin
		} else {
			p.Begin, p.End = own.complete(p.Begin), own.complete(p.End)
		}
		p.Acked, p.maxEnd = other.complete(p.Acked), own.complete(p.maxEnd)
	}
}

// add counts the bytes of a chunk from an offset on.
func (u *Undecoded) add(c Chunk, from int64) {
	from = max(c.Offset, from)
	if from >= c.end() {
		return
	}
	if u.Bytes == 0 {
		u.Near = c.At(int(from - c.Offset)).Packet
	}
	u.Bytes += c.end() - from
}

// arrivalOf returns the arrival of the byte at an offset of the stream, which is in a chunk.
func (s *Stream) arrivalOf(offset int64) *arrival {
	at := sort.Search(len(s.Chunks), func(i int) bool { return s.Chunks[i].end() > offset })
	return s.Chunks[at].arrival(int(offset - s.Chunks[at].Offset))
}

// A scale converts offsets in a stream to offsets in what it stands for.
type scale []scaleMark

// A scaleMark is a part and the number of decoded bytes up to its end.
type scaleMark struct{ begin, end, decoded int64 }

func newScale(parts []Part) scale {
	s := make(scale, len(parts))
	decoded := int64(0)
	for i, p := range parts {
		decoded += int64(len(p.Data))
		s[i] = scaleMark{p.Begin, p.End, decoded}
	}
	return s
}

// end returns the offset in the stream behind the last part.
func (s scale) end() int64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].end
}

// decoded returns the number of decoded bytes.
func (s scale) decoded() int64 { return s.upTo(len(s)) }

// complete returns how many decoded bytes a reader has that has the stream up to an offset.
// Negative offsets stay: they say that something is not known.
func (s scale) complete(offset int64) int64 {
	if offset < 0 {
		return offset
	}
	return s.upTo(sort.Search(len(s), func(i int) bool { return s[i].end > offset }))
}

// begun returns how many decoded bytes the parts stand for of which a byte is before an offset.
func (s scale) begun(offset int64) int64 {
	return s.upTo(sort.Search(len(s), func(i int) bool { return s[i].begin >= offset }))
}

// upTo returns the number of decoded bytes of the first n parts.
func (s scale) upTo(n int) int64 {
	if n == 0 {
		return 0
	}
	return s[n-1].decoded
}
