package capture

import "sort"

// A Packet is one packet of a stream.
type Packet struct {
	Mark Mark
	// Begin and End are the offsets of its bytes in its stream. In a packet without bytes both
	// are the end of what its sender had sent.
	Begin, End int64
	// Acked is how many bytes of the other stream its sender had acknowledged, -1 when not known.
	Acked int64
	// Before is the index of the packet that the sender sent before this one, by the count that
	// many systems keep for each connection in the identification of IPv4; -1 when the capture
	// lacks it or has no count.
	Before int
	// Clock is the TCP timestamp in milliseconds if HasClock is true and Conn.UpClock or
	// Conn.DownClock says that it ticks so.
	Clock    uint32
	HasClock bool

	maxEnd int64 // the highest End up to this packet
	pure   bool
}

// Pure reports whether the packet has no bytes. One with bytes may still have Begin equal to End,
// after Conn.Decode.
func (p *Packet) Pure() bool { return p.pure }

// listPackets lists the packets of a stream without damaged ones and resets, whose numbers are
// not reliable.
func listPackets(segments []segment) []Packet {
	packets := make([]Packet, 0, len(segments))
	counts := make([]int64, 0, len(segments)) // the IPv4 identifications without wrapping; 0 for none
	index := map[int64]int{}                  // in packets, by count
	maxEnd, last := int64(0), int64(0)
	for i := range segments {
		s := &segments[i]
		if s.Damaged || s.RST {
			continue
		}
		end := s.offset + int64(s.Length)
		maxEnd = max(maxEnd, end)
		count := int64(0)
		if s.ID != 0 {
			count = last + int64(int16(s.ID-uint16(last)))
			if len(index) == 0 {
				count += 1 << 32 // never 0
			}
			last = count
			if _, known := index[count]; !known {
				index[count] = len(packets)
			}
		}
		counts = append(counts, count)
		packets = append(packets, Packet{Mark: s.Mark, Begin: s.offset, End: end, Acked: s.acked,
			Before: -1, Clock: s.Clock, HasClock: s.HasClock, maxEnd: maxEnd, pure: s.Length == 0})
	}
	for i, count := range counts {
		if before, known := index[count-1]; count != 0 && known {
			packets[i].Before = before
		}
	}
	return packets
}

// FirstCarrying returns the index of the first packet that carries the byte at an offset, or
// bytes behind it; len(Packets) when none does.
func (s *Stream) FirstCarrying(offset int64) int {
	return sort.Search(len(s.Packets), func(i int) bool { return s.Packets[i].maxEnd > offset })
}

// FirstAcking returns the index of the first packet that acknowledges the other stream up to an
// offset; len(Packets) when none does.
func (s *Stream) FirstAcking(offset int64) int {
	return sort.Search(len(s.Packets), func(i int) bool { return s.Packets[i].Acked >= offset })
}

// IsFirstCopy reports whether the first packet with the byte at an offset is certain to be the
// one in which it was sent first: no packet is missing since one that shows that the byte had
// not been sent.
func (s *Stream) IsFirstCopy(offset int64) bool {
	const most = 64 // packets to go back
	i := s.FirstCarrying(offset)
	for range most {
		if i == len(s.Packets) {
			return false
		}
		before := s.Packets[i].Before
		if before < 0 || before >= i { // missing, or overtaken
			return false
		}
		i = before
		if one := &s.Packets[i]; one.Pure() && one.Begin <= offset {
			return true
		}
	}
	return false
}

// LastBefore returns the last packet that shows that the byte at an offset had not been sent; false
// when there is none.
func (s *Stream) LastBefore(offset int64) (Packet, bool) {
	for i := s.FirstCarrying(offset) - 1; i >= 0; i-- {
		if one := s.Packets[i]; one.Pure() && one.Begin <= offset {
			return one, true
		}
	}
	return Packet{}, false
}
