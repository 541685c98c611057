package capture

import (
	"bytes"
	"slices"
)

// A numbering turns the sequence numbers of a stream, which wrap around at 2^32, into
// offsets that do not.
type numbering struct {
	base  uint32 // of offset 0
	known bool
	last  int64
}

// offset returns the place of a sequence number: of all that it may stand for, the one that
// is nearest to the last, RFC 9293 section 3.4.
func (n *numbering) offset(seq uint32) int64 {
	return n.last + int64(int32(seq-n.base-uint32(n.last)))
}

// A piece is bytes of one packet at their place in the stream.
type piece struct {
	offset int64
	data   []byte
	mark   Mark
}

func (p piece) end() int64 { return p.offset + int64(len(p.data)) }

// build puts the segments of a stream in order. Where two packets have bytes for the same
// place, those of the first count, unless it is damaged and the other is not.
func (s *Stream) build() numbering {
	n := s.number()
	var pieces []piece
	var cuts []Missing
	last := n
	reach := int64(0) // what the sender is known to have sent
	fin := int64(-1)  // where the stream ends, if that is known
	for _, damaged := range []bool{false, true} {
		last.last = 0
		for i := range s.segments {
			seg := &s.segments[i]
			at := last.offset(seg.seq)
			last.last = at
			if seg.syn {
				at++
			}
			if seg.damaged != damaged {
				continue
			}
			if seg.rst {
				s.RST = firstMark(s.RST, seg.mark) // its bytes, if any, are for people, RFC 9293
				continue
			}
			if seg.fin {
				s.FIN, fin = firstMark(s.FIN, seg.mark), at+int64(seg.wire)
			}
			before := len(pieces)
			pieces = s.insert(pieces, piece{offset: at, data: seg.payload, mark: seg.mark}, seg.wire, damaged)
			if damaged && len(pieces) > before {
				s.Damaged = append(s.Damaged, seg.mark.Packet) // nobody else has these bytes
			}
			end := at + int64(seg.wire)
			reach = max(reach, end)
			if len(seg.payload) < seg.wire {
				cuts = append(cuts, Missing{Offset: at + int64(len(seg.payload)), Bytes: end - at - int64(len(seg.payload)), Cut: true, Near: seg.mark.Packet})
			}
		}
	}
	s.chunk(pieces)
	if fin >= 0 {
		reach = min(reach, fin) // what comes after it stands behind the FIN, which counts as a byte
	}
	s.gaps(reach, cuts)
	return n
}

// number finds the sequence number of the stream's first byte.
func (s *Stream) number() numbering {
	for i := range s.segments {
		if s.segments[i].syn {
			s.Started = true
			// The SYN itself stands before the first byte: offset -1 would be its own.
			return numbering{base: s.segments[i].seq + 1, known: true}
		}
	}
	if len(s.segments) == 0 {
		return numbering{}
	}
	// Packets that overtook one another may come first: the lowest is the beginning.
	n := numbering{base: s.segments[0].seq, known: true}
	lowest := int64(0)
	at := n
	for i := range s.segments {
		if s.segments[i].rst {
			continue // its number may be anything
		}
		at.last = at.offset(s.segments[i].seq)
		lowest = min(lowest, at.last)
	}
	n.base += uint32(lowest)
	return n
}

func firstMark(known, m Mark) Mark {
	if known.IsZero() {
		return m
	}
	return known
}

// insert adds what is new of a piece, and notes where it contradicts what is known. That a
// damaged one does is no wonder.
func (s *Stream) insert(pieces []piece, p piece, wire int, damaged bool) []piece {
	if p.offset < 0 {
		// Before the first byte: the probe of a keep-alive, RFC 9293 section 3.8.4.
		skip := min(-p.offset, int64(len(p.data)))
		p.offset, p.data = p.offset+skip, p.data[skip:]
	}
	probe := wire == 1 || damaged
	for len(p.data) > 0 {
		i, _ := slices.BinarySearchFunc(pieces, p.offset, func(q piece, offset int64) int {
			if q.end() <= offset {
				return -1
			}
			return 1
		})
		if i == len(pieces) || pieces[i].offset >= p.end() {
			return slices.Insert(pieces, i, p)
		}
		known := pieces[i]
		if p.offset < known.offset { // what is in front of it is new
			n := known.offset - p.offset
			pieces = slices.Insert(pieces, i, piece{offset: p.offset, data: p.data[:n], mark: p.mark})
			p.offset, p.data = known.offset, p.data[n:]
			continue
		}
		n := min(known.end(), p.end()) - p.offset
		same := known.data[p.offset-known.offset:][:n]
		if !bytes.Equal(same, p.data[:n]) && !probe {
			s.Conflicts = append(s.Conflicts, Conflict{Packet: p.mark.Packet, Earlier: known.mark.Packet})
		}
		p.offset, p.data = p.offset+n, p.data[n:]
	}
	return pieces
}

// chunk joins pieces that follow one another. A byte can be read when all before it are
// there, so its mark is the latest of theirs.
func (s *Stream) chunk(pieces []piece) {
	for _, p := range pieces {
		i := len(s.Chunks) - 1
		if i < 0 || s.Chunks[i].Offset+int64(len(s.Chunks[i].Data)) != p.offset {
			s.Chunks = append(s.Chunks, Chunk{Offset: p.offset})
			i++
		}
		c := &s.Chunks[i]
		mark := p.mark
		if n := len(c.arrivals); n > 0 && c.arrivals[n-1].mark.Time.After(mark.Time) {
			mark = c.arrivals[n-1].mark
		}
		c.arrivals = append(c.arrivals, arrival{from: len(c.Data), mark: mark})
		c.Data = append(c.Data, p.data...)
	}
}

// gaps notes what is missing before, between and behind the chunks, up to reach.
func (s *Stream) gaps(reach int64, cuts []Missing) {
	at, near := int64(0), 0
	note := func(to int64, near int) {
		if to <= at {
			return
		}
		m := Missing{Offset: at, Bytes: to - at, Near: near}
		for _, cut := range cuts {
			m.Cut = m.Cut || cut.Offset < to && cut.Offset+cut.Bytes > at
		}
		s.Missing = append(s.Missing, m)
	}
	for _, c := range s.Chunks {
		note(c.Offset, c.At(0).Packet)
		at = c.Offset + int64(len(c.Data))
		near = c.At(len(c.Data) - 1).Packet
	}
	if len(cuts) > 0 && near == 0 {
		near = cuts[0].Near
	}
	note(reach, near)
}

// end is the offset behind the last byte that there is.
func (s *Stream) end() int64 {
	if len(s.Chunks) == 0 {
		return 0
	}
	c := s.Chunks[len(s.Chunks)-1]
	return c.Offset + int64(len(c.Data))
}

// at returns the mark of the byte at an offset; false when it is missing.
func (s *Stream) at(offset int64) (Mark, bool) {
	for _, c := range slices.Backward(s.Chunks) {
		if i := offset - c.Offset; i >= 0 && i < int64(len(c.Data)) {
			return c.At(int(i)), true
		}
	}
	return Mark{}, false
}
